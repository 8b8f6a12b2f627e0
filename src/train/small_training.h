#pragma once

#include <torch/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "xception/models/kernel_choice.h"
#include "xception/train/step_graph.h"

namespace xception {

/// A training for tests of a device: a small network on a few made-up images, the same each time,
/// from weights that blow rounding up but little.
/// It goes through the trainer's own step, with all its branches, and draws from generators that it
/// seeds itself.
struct SmallTraining {
  std::string model;      ///< of the registry
  std::string precision;  ///< as `train.precision`
  Kernels kernels = Kernels::reference;
  std::string optimizer = "adam";
  std::optional<double> dropout = {};  ///< the network's own where it is left out
  std::int64_t epochs = 1;             ///< of five steps of 16 images, the last of 13
  std::int64_t steps = 5;              ///< of each epoch that are done
  bool evaluate = false;               ///< afterwards
};

/// What it has learned.
struct SmallResult {
  std::vector<torch::Tensor> before, after;  ///< the parameters, on the device
  torch::Tensor logits;        ///< as evaluation makes them: BatchNorm folded, the same kernels
  torch::Tensor plain_logits;  ///< with LibTorch's operations one after another
  std::string obstacle;        ///< why nothing was recorded; empty without a graph, or where it was
};

/// What a test says of the first model, of one of each kind in the registry, that it finds
/// something wrong with; what it throws is wrong, too. Empty: nothing. LibTorch's settings are
/// SelftestSettings, and the run's generators are left as they were.
[[nodiscard]] std::string test_models(
    const torch::Device& device, const std::function<std::string(const std::string& model)>& test);

/// make: where a step's graph comes from; empty: the step isn't recorded.
[[nodiscard]] SmallResult train_small(const SmallTraining& training, const torch::Device& device,
                                      const StepGraphMaker& make = {});

/// Length of the difference of two lists of tensors as if each list were one vector.
[[nodiscard]] double distance(const std::vector<torch::Tensor>& a,
                              const std::vector<torch::Tensor>& b);

}  // namespace xception
