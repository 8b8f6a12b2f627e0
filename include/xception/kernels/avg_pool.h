#pragma once

#include <torch/types.h>

namespace xception {

/// at::avg_pool2d(x, size, stride) with a backward pass of our own, which writes whole vectors.
/// x: (N, C, H, W) -> (N, C, H', W') with H' = (H - size) / stride + 1, rounded down; no padding.
/// Saves nothing but sizes. No gradients of gradients.
///
/// Errors (run): x isn't as can_fuse_image() says; a window larger than the image.
[[nodiscard]] torch::Tensor fused_avg_pool(const torch::Tensor& x, std::int64_t size,
                                           std::int64_t stride);

}  // namespace xception
