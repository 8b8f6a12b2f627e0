#pragma once

#include <torch/types.h>

#include "xception/kernels/bn_act.h"

namespace xception {

struct DepthwiseOptions {
  std::int64_t stride = 1;   ///< 1 or 2
  std::int64_t padding = 1;  ///< 0 or 1
};

/// A depthwise 3x3 convolution of x, or of its ReLU.
/// x: (N, C, H, W) -> (N, C, H', W') with H' = (H + 2 padding - 3) / stride + 1, rounded down.
/// weight: (C, 1, 3, 3), float32, or float64 with float64 images. Under autocast x is rounded to
/// autocast's dtype as for a convolution; the weight isn't.
///
/// The ReLU is done as x is read, forward and backward: its result is never stored. Backward is one
/// pass, which gives the gradients of x and of the weight. No gradients of gradients.
///
/// Errors (run): x isn't as can_fuse_image() says; shapes or dtypes don't fit; options.
[[nodiscard]] torch::Tensor fused_depthwise(const torch::Tensor& x, const torch::Tensor& weight,
                                            const DepthwiseOptions& options, bool relu);

struct DepthwiseAndInput {
  torch::Tensor convolved;  ///< fused_depthwise()'s
  /// x, in autocast's dtype, in x's memory where that is its own: nobody may write to it.
  torch::Tensor input;
};

/// fused_depthwise() of an x that others read, too. They read `input`, whose gradient backward adds
/// while it writes x's, so that no sum of gradients takes a pass of its own.
[[nodiscard]] DepthwiseAndInput fused_depthwise_beside(const torch::Tensor& x,
                                                       const torch::Tensor& weight,
                                                       const DepthwiseOptions& options, bool relu);

/// fused_depthwise() of the result of BatchNorm (and ReLU), which is never stored: x is normalized
/// as it is read, and the zeros around the image come after that. Backward is one pass for the
/// gradients of the weight, of BatchNorm's parameters and of its output, and a second one for x.
[[nodiscard]] torch::Tensor fused_bn_depthwise(const torch::Tensor& x, const BatchNormArguments& bn,
                                               bool relu, const torch::Tensor& weight,
                                               const DepthwiseOptions& options);

}  // namespace xception
