#pragma once

#include <torch/nn/module.h>

#include <string>

#include "xception/core/safetensors.h"

namespace xception {

/// The parameters and buffers of a module by name.
[[nodiscard]] TensorMap module_state(const torch::nn::Module& module);

/// The tensors whose names start with `prefix`, without it.
[[nodiscard]] TensorMap below(const TensorMap& tensors, const std::string& prefix);

/// Copies `tensors` into the parameters and buffers of the same names. Throws unless both have the
/// same names and shapes.
void load_module_state(torch::nn::Module& module, const TensorMap& tensors);

/// Makes the floating-point parameters and buffers float64; BatchNorm's batch count stays int64.
void make_double(torch::nn::Module& module);

/// ||actual - expected|| / ||expected||, all in float64; infinite if the shapes differ, and if
/// expected is zero where actual isn't.
[[nodiscard]] double relative_error(const torch::Tensor& actual, const torch::Tensor& expected);

}  // namespace xception
