#pragma once

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "xception/kernels/bn_act.h"

namespace xception {

// BatchNorm (and ReLU) of the branches of a block: of convolutions of one image, done as one
// convolution, and of those whose results are concatenated. Both have the manners of
// fused_bn_act().

/// A BatchNorm of neighboring channels of a product.
struct BnSlice {
  BatchNormArguments bn = {};  ///< weight: (C), which says how many channels
  bool average = false;        ///< first average 3x3 neighbors, the zeros around the image too
  /// Where the result is written: a channel slice of a channels_last tensor without a gradient, of
  /// the product's dtype, for fused_bn_concat() to return; undefined: a new tensor.
  torch::Tensor to = {};
};

/// BatchNorm and, where asked for, ReLU of each slice of a product: (N, sum of C, H, W) -> an
/// (N, C, H, W) for each. The slices are read where they are, and backward writes one gradient of
/// the whole product.
///
/// Errors (run): fused_bn_act()'s; slices that aren't all of the product's channels.
[[nodiscard]] std::vector<torch::Tensor> fused_bn_slices(const torch::Tensor& product,
                                                         const std::vector<BnSlice>& slices,
                                                         bool relu);

/// A part of a concatenation.
struct BnPart {
  torch::Tensor x = {};                       ///< (N, C, H, W)
  std::optional<BatchNormArguments> bn = {};  ///< none: x itself
};

/// The concatenation of the parts' channels, those with a BatchNorm normalized and, where asked
/// for, through a ReLU: (N, C, H, W) each -> (N, sum of C, H, W). They are written where they go,
/// and backward reads the result's gradient there.
///
/// output: the memory of the result, of which parts without a BatchNorm may already be slices;
/// these aren't copied. Undefined: new memory.
///
/// Errors (run): fused_bn_act()'s; parts or an output that don't fit together.
[[nodiscard]] torch::Tensor fused_bn_concat(const std::vector<BnPart>& parts, bool relu,
                                            const torch::Tensor& output = {});

}  // namespace xception
