#pragma once

#include <torch/nn/modules/linear.h>

#include <cstdint>
#include <string>
#include <vector>

#include "xception/models/branches.h"
#include "xception/models/layers.h"

namespace xception {

/// A module of Inception V3 (Szegedy et al., arXiv 1512.00567): branches that all read its input,
/// and whose results' channels it gives one after another. Below, one function for each kind.
class InceptionBlockImpl : public torch::nn::Module, public KernelUser {
 public:
  /// A unit of this block, for its branches.
  ConvBnRelu unit(const std::string& name, const ConvBnRelu& unit) {
    return register_module(name, unit);
  }
  void add(std::vector<ConvBnRelu> units, Branch::Pooling pooling = Branch::Pooling::none) {
    branches_.push_back({.pooling = pooling, .units = std::move(units)});
  }

  torch::Tensor forward(const torch::Tensor& x) { return concat_branches(x, branches_, kernels()); }

 private:
  std::vector<Branch> branches_;
};
TORCH_MODULE(InceptionBlock);

// Units have the names of torchvision's, in which `dbl` is the branch of two 3x3 (or a factorized
// pair of 7x7) convolutions. All map (N, in_channels, H, W) to what is said.

/// 5x5, two 3x3, and pooled branches (the paper's Fig. 5): (N, 224 + pool_channels, H, W).
[[nodiscard]] InceptionBlock inception_a(std::int64_t in_channels, std::int64_t pool_channels);

/// Reduction from 35 to 17 px (the paper's Fig. 10):
/// (N, 480 + in_channels, (H - 1) / 2, (W - 1) / 2), rounded down.
[[nodiscard]] InceptionBlock inception_b(std::int64_t in_channels);

/// 7x7 convolutions factorized into 1x7 and 7x1 (the paper's Fig. 6): (N, 768, H, W).
/// channels_7x7: of the units inside the 7x7 branches.
[[nodiscard]] InceptionBlock inception_c(std::int64_t in_channels, std::int64_t channels_7x7);

/// Reduction from 17 to 8 px: (N, 512 + in_channels, (H - 1) / 2, (W - 1) / 2), rounded down.
[[nodiscard]] InceptionBlock inception_d(std::int64_t in_channels);

/// 3x3 convolutions split into a 1x3 beside a 3x1 (the paper's Fig. 7): (N, 2048, H, W).
[[nodiscard]] InceptionBlock inception_e(std::int64_t in_channels);

/// The auxiliary classifier on the 17 px features (the paper's section 4).
class InceptionAuxImpl : public torch::nn::Module, public KernelUser {
 public:
  InceptionAuxImpl(std::int64_t in_channels, std::int64_t num_classes);
  /// x: (N, in_channels, H, W), H and W of 17 or more -> (N, num_classes)
  torch::Tensor forward(const torch::Tensor& x);
  /// The final layer, whose initial values are smaller than the others'.
  [[nodiscard]] torch::nn::Linear& classifier() { return fc_; }

 private:
  ConvBnRelu conv0_{nullptr}, conv1_{nullptr};
  torch::nn::Linear fc_{nullptr};
};
TORCH_MODULE(InceptionAux);

}  // namespace xception
