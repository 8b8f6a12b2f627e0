#pragma once

#include <functional>

#include "xception/kernels/parameter_update.h"
#include "xception/optim/optimizer.h"

namespace xception {

/// An optimizer as the table in optimizer.cpp knows it.
struct OptimizerEntry {
  std::string name;
  std::function<std::vector<Key>(OptimizerConfig&)> keys;  ///< its own of `optimizer.*`
  std::function<std::unique_ptr<Optimizer>(const OptimizerConfig&, const NamedParameters&)> build;
  /// Refuses settings that can't be meant together. Errors (input).
  std::function<void(const OptimizerConfig&)> check = {};
};

/// Refuses a decoupled weight decay that would turn weights around: `lr * weight_decay` must stay
/// below 1. key: that of `lr`. Errors (input).
void check_decoupled_decay(const OptimizerConfig& config, const std::string& key, double lr);

/// What a step updates, of the parameters that have a gradient.
struct StepLists {
  // For LibTorch's fused kernels; first and second are empty where the rule has none.
  std::vector<torch::Tensor> parameters, gradients, first, second;
  /// Those that have a copy.
  std::vector<ParameterUpdate> with_copies;
};

/// copies, first and second: of each parameter, or empty.
StepLists step_lists(const NamedParameters& parameters, const std::vector<torch::Tensor>& copies,
                     const std::vector<torch::Tensor>& first,
                     const std::vector<torch::Tensor>& second);

}  // namespace xception
