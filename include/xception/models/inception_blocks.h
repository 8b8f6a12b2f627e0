#pragma once

#include <torch/nn/modules/linear.h>

#include <cstdint>

#include "xception/models/layers.h"

namespace xception {

// The modules of Inception V3 (Szegedy et al., arXiv 1512.00567), with the names of torchvision's.
// Each computes branches from its input and concatenates their channels; in the layers' names,
// `dbl` is the branch of two 3x3 (or a factorised pair of 7x7) convolutions. What fused kernels
// merge is Branches' matter.

/// 5x5, two 3x3, and pooled branches (the paper's Fig. 5). Keeps the image's size.
class InceptionAImpl : public torch::nn::Module, public KernelUser {
 public:
  InceptionAImpl(std::int64_t in_channels, std::int64_t pool_channels);
  /// x: (N, in_channels, H, W) -> (N, 224 + pool_channels, H, W)
  torch::Tensor forward(const torch::Tensor& x);

 private:
  ConvBnRelu branch1x1_{nullptr};
  ConvBnRelu branch5x5_1_{nullptr}, branch5x5_2_{nullptr};
  ConvBnRelu branch3x3dbl_1_{nullptr}, branch3x3dbl_2_{nullptr}, branch3x3dbl_3_{nullptr};
  ConvBnRelu branch_pool_{nullptr};
};
TORCH_MODULE(InceptionA);

/// Reduction from 35 to 17 px (the paper's Fig. 10).
class InceptionBImpl : public torch::nn::Module, public KernelUser {
 public:
  explicit InceptionBImpl(std::int64_t in_channels);
  /// x: (N, in_channels, H, W) -> (N, 480 + in_channels, (H - 1) / 2, (W - 1) / 2), rounded down
  torch::Tensor forward(const torch::Tensor& x);

 private:
  ConvBnRelu branch3x3_{nullptr};
  ConvBnRelu branch3x3dbl_1_{nullptr}, branch3x3dbl_2_{nullptr}, branch3x3dbl_3_{nullptr};
};
TORCH_MODULE(InceptionB);

/// 7x7 convolutions factorised into 1x7 and 7x1 (the paper's Fig. 6). Keeps the image's size.
class InceptionCImpl : public torch::nn::Module, public KernelUser {
 public:
  /// channels_7x7: of the layers inside the 7x7 branches
  InceptionCImpl(std::int64_t in_channels, std::int64_t channels_7x7);
  /// x: (N, in_channels, H, W) -> (N, 768, H, W)
  torch::Tensor forward(const torch::Tensor& x);

 private:
  ConvBnRelu branch1x1_{nullptr};
  ConvBnRelu branch7x7_1_{nullptr}, branch7x7_2_{nullptr}, branch7x7_3_{nullptr};
  ConvBnRelu branch7x7dbl_1_{nullptr}, branch7x7dbl_2_{nullptr}, branch7x7dbl_3_{nullptr},
      branch7x7dbl_4_{nullptr}, branch7x7dbl_5_{nullptr};
  ConvBnRelu branch_pool_{nullptr};
};
TORCH_MODULE(InceptionC);

/// Reduction from 17 to 8 px.
class InceptionDImpl : public torch::nn::Module, public KernelUser {
 public:
  explicit InceptionDImpl(std::int64_t in_channels);
  /// x: (N, in_channels, H, W) -> (N, 512 + in_channels, (H - 1) / 2, (W - 1) / 2), rounded down
  torch::Tensor forward(const torch::Tensor& x);

 private:
  ConvBnRelu branch3x3_1_{nullptr}, branch3x3_2_{nullptr};
  ConvBnRelu branch7x7x3_1_{nullptr}, branch7x7x3_2_{nullptr}, branch7x7x3_3_{nullptr},
      branch7x7x3_4_{nullptr};
};
TORCH_MODULE(InceptionD);

/// 3x3 convolutions split into a 1x3 beside a 3x1 (the paper's Fig. 7). Keeps the image's size.
class InceptionEImpl : public torch::nn::Module, public KernelUser {
 public:
  explicit InceptionEImpl(std::int64_t in_channels);
  /// x: (N, in_channels, H, W) -> (N, 2048, H, W)
  torch::Tensor forward(const torch::Tensor& x);

 private:
  ConvBnRelu branch1x1_{nullptr};
  ConvBnRelu branch3x3_1_{nullptr}, branch3x3_2a_{nullptr}, branch3x3_2b_{nullptr};
  ConvBnRelu branch3x3dbl_1_{nullptr}, branch3x3dbl_2_{nullptr}, branch3x3dbl_3a_{nullptr},
      branch3x3dbl_3b_{nullptr};
  ConvBnRelu branch_pool_{nullptr};
};
TORCH_MODULE(InceptionE);

/// The auxiliary classifier on the 17 px features (the paper's section 4).
class InceptionAuxImpl : public torch::nn::Module {
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
