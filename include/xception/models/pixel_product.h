#pragma once

#include <torch/nn/modules/conv.h>
#include <torch/types.h>

#include <vector>

namespace xception {

/// 1x1 convolutions of one image, of stride 1 and without padding, as one product (on a GPU one
/// convolution) of its pixels with the weights one below another; their biases, if they have any,
/// are left out but for a single convolution. x: (N, C, H, W), channels_last -> (N, sum of the
/// convolutions' channels, H, W), channels_last.
///
/// On a CPU it is faster than oneDNN's convolution, which reorders the weights each time. The
/// weights are put together in x's dtype, so that under autocast its cast does the copying; their
/// gradients come with the weights' own strides, as gradient reducers like them.
[[nodiscard]] torch::Tensor pixel_product(const torch::Tensor& x,
                                          const std::vector<torch::nn::Conv2d>& convolutions);

}  // namespace xception
