#pragma once

#include "xception/optim/optimizer.h"

namespace xception {

std::unique_ptr<Optimizer> make_adam(const OptimizerConfig& config,
                                     const NamedParameters& parameters);
std::unique_ptr<Optimizer> make_sgd(const OptimizerConfig& config,
                                    const NamedParameters& parameters);

/// The gradient with the parameter's strides: the fused CPU kernels walk storage and would silently
/// pair the wrong elements. It nearly always has them already.
torch::Tensor in_layout_of(const torch::Tensor& parameter, const torch::Tensor& gradient);

}  // namespace xception
