#pragma once

#include <torch/types.h>

#include "xception/kernels/bn_act.h"

namespace xception {

/// Max pooling 3x3, stride 2, plus the residual where defined.
/// x: (N, C, H, W) -> (N, C, H', W') with H' = (H + 2 padding - 3) / 2 + 1, rounded down; the
/// residual has that shape. padding: 0 or 1. The first of equal values is the maximum, and NaN
/// always, as for at::max_pool2d.
///
/// Saves one byte an output instead of x and eight bytes; backward gathers, so it writes each
/// gradient once and needs no atomics. No gradients of gradients.
///
/// Errors (run): x isn't as can_fuse_image() says; shapes or dtypes don't fit.
[[nodiscard]] torch::Tensor fused_max_pool(const torch::Tensor& x, std::int64_t padding,
                                           const torch::Tensor& residual = {});

/// fused_max_pool() of what fused_bn_act(x, bn, relu) gives, which is never in memory: the pool
/// normalizes what it reads, and backward takes BatchNorm's sums from the maxima alone. On a CPU in
/// two passes, no faster than the two operations.
/// Saves x, and three bytes an output (five in float32).
///
/// Errors (run): as fused_max_pool() and fused_bn_act().
[[nodiscard]] torch::Tensor fused_bn_max_pool(const torch::Tensor& x, const BatchNormArguments& bn,
                                              bool relu, std::int64_t padding,
                                              const torch::Tensor& residual = {});

}  // namespace xception
