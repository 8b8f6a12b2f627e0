#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "xception/models/layers.h"

namespace xception {

/// 3x3 neighbours, stride 1; the zeros around the image count in the average.
/// x: (N, C, H, W) -> the same
[[nodiscard]] torch::Tensor average_neighbours(const torch::Tensor& x);

/// The parallel branches of a block, from its image to the concatenation of their channels. Plain
/// units with the reference kernels. With fused ones, if they take all that is here:
///
/// - all 1x1 units that read the image are one matrix product of its pixels, with their weights
///   side by side;
/// - an average before a 1x1 unit moves behind its convolution, to where there are fewer channels
///   (both are linear, and commute);
/// - what ends a branch is normalised into the block's result.
class Branches {
 public:
  /// last: the last unit of each branch, in the order of their channels; x, kernels: the block's.
  Branches(const torch::Tensor& x, const std::vector<ConvBnRelu>& last, Kernels kernels);

  /// Whether what it was made with fuses.
  [[nodiscard]] bool fused() const { return fused_; }

  /// The results of stride-1 1x1 units of the image, the last one of its average where
  /// `averaged_last`. Once a block, and before join(): these units may be the last of a branch too.
  [[nodiscard]] std::vector<torch::Tensor> start(const std::vector<ConvBnRelu>& units,
                                                 bool averaged_last = false);

  /// The branches' channels, one after another. inputs: what each last unit reads, or its result
  /// where start() had it; pooled: has no unit, comes after the others, left out where undefined.
  [[nodiscard]] torch::Tensor join(const std::vector<torch::Tensor>& inputs,
                                   const torch::Tensor& pooled = {});

 private:
  /// Where the unit's result lies in output_; undefined if it is nobody's last.
  [[nodiscard]] torch::Tensor place_of(const ConvBnRelu& unit) const;
  [[nodiscard]] std::vector<torch::Tensor> start_fused(const std::vector<ConvBnRelu>& units,
                                                       bool averaged_last);

  torch::Tensor x_;
  std::vector<ConvBnRelu> last_;
  std::vector<bool> done_;  ///< of last_: by start()
  bool fused_ = false;
  torch::Tensor output_;  ///< of the fused start, if it has last units
};

}  // namespace xception
