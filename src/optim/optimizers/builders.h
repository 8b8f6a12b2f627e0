#pragma once

#include "xception/kernels/parameter_update.h"
#include "xception/optim/optimizer.h"

namespace xception {

std::unique_ptr<Optimizer> make_adam(const OptimizerConfig& config,
                                     const NamedParameters& parameters);
std::unique_ptr<Optimizer> make_sgd(const OptimizerConfig& config,
                                    const NamedParameters& parameters);

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

/// The gradient with the parameter's strides: the fused CPU kernels walk storage and would silently
/// pair the wrong elements. It nearly always has them already.
torch::Tensor in_layout_of(const torch::Tensor& parameter, const torch::Tensor& gradient);

}  // namespace xception
