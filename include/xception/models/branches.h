#pragma once

#include <torch/types.h>

#include <vector>

#include "xception/models/layers.h"

namespace xception {

/// Average of 3x3 pixels, stride 1; the zeros around the image count.
/// x: (N, C, H, W) -> the same
[[nodiscard]] torch::Tensor avg_pool_3x3(const torch::Tensor& x);

/// One of the parallel branches of a block: pooling of the block's image, then units one after
/// another. Branches that begin with the same units share them.
struct Branch {
  /// 3x3. average and max_same: stride 1, padding 1; max: stride 2, no padding.
  enum class Pooling { none, average, max, max_same };
  Pooling pooling = Pooling::none;
  std::vector<ConvBnRelu> units = {};
};

/// The results of all branches, their channels one after another: (N, C, H, W) ->
/// (N, sum of the branches' channels, H', W').
///
/// With the reference kernels these are plain units and a concatenation. With fused ones, if they
/// take x:
/// - all 1x1 units that begin a branch are one matrix product of x's pixels, with their weights
///   side by side;
/// - an average before a 1x1 unit moves behind its convolution, to where there are fewer channels
///   (both are linear, and commute);
/// - what ends a branch is normalized into the block's result.
[[nodiscard]] torch::Tensor concat_branches(const torch::Tensor& x,
                                            const std::vector<Branch>& branches, Kernels kernels);

}  // namespace xception
