#pragma once

#include <torch/types.h>

#include <string>
#include <vector>

#include "xception/kernels/parameter_update.h"

// fused_update() against LibTorch's fused optimizers, wherever it runs.
namespace xception {

struct UpdateCase {
  UpdateRule rule;
  torch::ScalarType narrow = torch::kFloat32;  ///< the gradients' dtype
  bool scaled = false;                         ///< gradients are 1024 times as large
  bool copies = true;

  [[nodiscard]] std::string name() const;
};

/// Every rule with and without its options, in every dtype.
std::vector<UpdateCase> update_cases();

/// Parameters of many sizes and strides, more than a launch takes, with gradients.
std::vector<ParameterUpdate> updates_of(const UpdateCase& of, const torch::Device& device);

/// Three steps equal those of LibTorch on the CPU, and copies the rounded parameters; then, with
/// found_inf, nothing changes. To be called in tests.
void expect_update(const UpdateCase& of, const torch::Device& device);

}  // namespace xception
