#pragma once

#include <torch/types.h>

namespace xception {

/// A BatchNorm2d's parameters, buffers and constants. weight, bias, running_mean, running_var: (C),
/// float32, or float64 with float64 images.
struct BatchNormArguments {
  torch::Tensor weight = {}, bias = {};
  torch::Tensor running_mean = {}, running_var = {};
  double eps = 1e-5;
  double momentum = 0.1;
  bool training = true;  ///< normalize with the batch's statistics and update the running ones
};

/// Whether the fused operations take x: 4-D, channels_last, float16, bfloat16, float32 or float64,
/// on a CPU or, in a build with CUDA, on a GPU.
[[nodiscard]] bool can_fuse_image(const torch::Tensor& x);

/// BatchNorm, plus the residual where defined, then ReLU where asked for; one autograd function.
/// x, residual: (N, C, H, W) -> the same, in x's dtype.
///
/// Forward: one read for the statistics, one pass to write. Backward: one read of x and the
/// output's gradient for the sums, one pass to write. Saves x (and the output where there are both
/// a residual and a ReLU); the ReLU's mask is computed again. Arithmetic in float32 (float64 for
/// float64), statistics as mean and M2 of tiles, merged in float64. No gradients of gradients.
///
/// Errors (run): x isn't as can_fuse_image() says; shapes or dtypes don't fit; a training batch
/// of one value a channel.
///
/// Source: Ioffe, Szegedy, arXiv 1502.03167; merging: Chan, Golub, LeVeque, "Updating formulae and
/// a pairwise algorithm for computing sample variances", 1979.
[[nodiscard]] torch::Tensor fused_bn_act(const torch::Tensor& x, const BatchNormArguments& bn,
                                         bool relu, const torch::Tensor& residual = {});

}  // namespace xception
