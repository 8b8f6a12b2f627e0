#include "xception/models/inception_blocks.h"

#include "xception/models/branches.h"

namespace xception {
namespace {

using Size = torch::ExpandingArray<2>;

/// A stride-1 unit whose padding keeps the image's size; the kernel is odd.
ConvBnRelu same(std::int64_t in, std::int64_t out, Size kernel) {
  const Size padding({(kernel->at(0) - 1) / 2, (kernel->at(1) - 1) / 2});
  return ConvBnRelu(torch::nn::Conv2dOptions(in, out, kernel).padding(padding));
}

/// A 3x3 unit of stride 2 without padding, which halves the image.
ConvBnRelu halving(std::int64_t in, std::int64_t out) {
  return ConvBnRelu(torch::nn::Conv2dOptions(in, out, 3).stride(2));
}

/// (N, C, H, W) -> (N, C, (H - 1) / 2, (W - 1) / 2)
torch::Tensor halving_max_pool(const torch::Tensor& x, Kernels kernels) {
  return pool_add(x, /*shortcut=*/{}, /*padding=*/0, kernels);
}

}  // namespace

// Modules are registered in torchvision's order: so they draw the same initial values.

InceptionAImpl::InceptionAImpl(std::int64_t in_channels, std::int64_t pool_channels) {
  branch1x1_ = register_module("branch1x1", same(in_channels, 64, 1));
  branch5x5_1_ = register_module("branch5x5_1", same(in_channels, 48, 1));
  branch5x5_2_ = register_module("branch5x5_2", same(48, 64, 5));
  branch3x3dbl_1_ = register_module("branch3x3dbl_1", same(in_channels, 64, 1));
  branch3x3dbl_2_ = register_module("branch3x3dbl_2", same(64, 96, 3));
  branch3x3dbl_3_ = register_module("branch3x3dbl_3", same(96, 96, 3));
  branch_pool_ = register_module("branch_pool", same(in_channels, pool_channels, 1));
}

torch::Tensor InceptionAImpl::forward(const torch::Tensor& x) {
  Branches branches(x, {branch1x1_, branch5x5_2_, branch3x3dbl_3_, branch_pool_}, kernels());
  // (N, 64, H, W), (N, 48, H, W), (N, 64, H, W), (N, pool, H, W)
  const auto first = branches.start({branch1x1_, branch5x5_1_, branch3x3dbl_1_, branch_pool_},
                                    /*averaged_last=*/true);

  const auto branch3x3dbl = branch3x3dbl_2_->forward(first[2]);  // (N, 96, H, W)

  // 64, 64, 96 and pool channels
  return branches.join({first[0], first[1], branch3x3dbl, first[3]});
}

InceptionBImpl::InceptionBImpl(std::int64_t in_channels) {
  branch3x3_ = register_module("branch3x3", halving(in_channels, 384));
  branch3x3dbl_1_ = register_module("branch3x3dbl_1", same(in_channels, 64, 1));
  branch3x3dbl_2_ = register_module("branch3x3dbl_2", same(64, 96, 3));
  branch3x3dbl_3_ = register_module("branch3x3dbl_3", halving(96, 96));
}

torch::Tensor InceptionBImpl::forward(const torch::Tensor& x) {
  Branches branches(x, {branch3x3_, branch3x3dbl_3_}, kernels());
  if (!branches.fused()) {
    // In torchvision's order, which the gradients of x are summed in.
    const auto branch3x3 = branch3x3_->forward(x);
    const auto dbl = branch3x3dbl_2_->forward(branch3x3dbl_1_->forward(x));
    return at::cat({branch3x3, branch3x3dbl_3_->forward(dbl), halving_max_pool(x, kernels())}, 1);
  }
  auto branch3x3dbl = branches.start({branch3x3dbl_1_})[0];  // (N, 64, H, W)
  branch3x3dbl = branch3x3dbl_2_->forward(branch3x3dbl);     // (N, 96, H, W)

  // 384, 96 and in_channels channels
  return branches.join({x, branch3x3dbl}, halving_max_pool(x, kernels()));
}

InceptionCImpl::InceptionCImpl(std::int64_t in_channels, std::int64_t channels_7x7) {
  const std::int64_t c7 = channels_7x7;
  branch1x1_ = register_module("branch1x1", same(in_channels, 192, 1));
  branch7x7_1_ = register_module("branch7x7_1", same(in_channels, c7, 1));
  branch7x7_2_ = register_module("branch7x7_2", same(c7, c7, {1, 7}));
  branch7x7_3_ = register_module("branch7x7_3", same(c7, 192, {7, 1}));
  branch7x7dbl_1_ = register_module("branch7x7dbl_1", same(in_channels, c7, 1));
  branch7x7dbl_2_ = register_module("branch7x7dbl_2", same(c7, c7, {7, 1}));
  branch7x7dbl_3_ = register_module("branch7x7dbl_3", same(c7, c7, {1, 7}));
  branch7x7dbl_4_ = register_module("branch7x7dbl_4", same(c7, c7, {7, 1}));
  branch7x7dbl_5_ = register_module("branch7x7dbl_5", same(c7, 192, {1, 7}));
  branch_pool_ = register_module("branch_pool", same(in_channels, 192, 1));
}

torch::Tensor InceptionCImpl::forward(const torch::Tensor& x) {
  Branches branches(x, {branch1x1_, branch7x7_3_, branch7x7dbl_5_, branch_pool_}, kernels());
  // (N, 192, H, W), (N, c7, H, W), (N, c7, H, W), (N, 192, H, W)
  const auto first = branches.start({branch1x1_, branch7x7_1_, branch7x7dbl_1_, branch_pool_},
                                    /*averaged_last=*/true);

  const auto branch7x7 = branch7x7_2_->forward(first[1]);  // (N, c7, H, W)

  auto branch7x7dbl = branch7x7dbl_2_->forward(first[2]);  // (N, c7, H, W)
  branch7x7dbl = branch7x7dbl_3_->forward(branch7x7dbl);   // (N, c7, H, W)
  branch7x7dbl = branch7x7dbl_4_->forward(branch7x7dbl);   // (N, c7, H, W)

  // 192 channels each
  return branches.join({first[0], branch7x7, branch7x7dbl, first[3]});
}

InceptionDImpl::InceptionDImpl(std::int64_t in_channels) {
  branch3x3_1_ = register_module("branch3x3_1", same(in_channels, 192, 1));
  branch3x3_2_ = register_module("branch3x3_2", halving(192, 320));
  branch7x7x3_1_ = register_module("branch7x7x3_1", same(in_channels, 192, 1));
  branch7x7x3_2_ = register_module("branch7x7x3_2", same(192, 192, {1, 7}));
  branch7x7x3_3_ = register_module("branch7x7x3_3", same(192, 192, {7, 1}));
  branch7x7x3_4_ = register_module("branch7x7x3_4", halving(192, 192));
}

torch::Tensor InceptionDImpl::forward(const torch::Tensor& x) {
  Branches branches(x, {branch3x3_2_, branch7x7x3_4_}, kernels());
  // (N, 192, H, W) each
  const auto first = branches.start({branch3x3_1_, branch7x7x3_1_});

  auto branch7x7x3 = branch7x7x3_2_->forward(first[1]);  // (N, 192, H, W)
  branch7x7x3 = branch7x7x3_3_->forward(branch7x7x3);    // (N, 192, H, W)

  // 320, 192 and in_channels channels
  return branches.join({first[0], branch7x7x3}, halving_max_pool(x, kernels()));
}

InceptionEImpl::InceptionEImpl(std::int64_t in_channels) {
  branch1x1_ = register_module("branch1x1", same(in_channels, 320, 1));
  branch3x3_1_ = register_module("branch3x3_1", same(in_channels, 384, 1));
  branch3x3_2a_ = register_module("branch3x3_2a", same(384, 384, {1, 3}));
  branch3x3_2b_ = register_module("branch3x3_2b", same(384, 384, {3, 1}));
  branch3x3dbl_1_ = register_module("branch3x3dbl_1", same(in_channels, 448, 1));
  branch3x3dbl_2_ = register_module("branch3x3dbl_2", same(448, 384, 3));
  branch3x3dbl_3a_ = register_module("branch3x3dbl_3a", same(384, 384, {1, 3}));
  branch3x3dbl_3b_ = register_module("branch3x3dbl_3b", same(384, 384, {3, 1}));
  branch_pool_ = register_module("branch_pool", same(in_channels, 192, 1));
}

torch::Tensor InceptionEImpl::forward(const torch::Tensor& x) {
  Branches branches(
      x,
      {branch1x1_, branch3x3_2a_, branch3x3_2b_, branch3x3dbl_3a_, branch3x3dbl_3b_, branch_pool_},
      kernels());
  // (N, 320, H, W), (N, 384, H, W), (N, 448, H, W), (N, 192, H, W)
  const auto first = branches.start({branch1x1_, branch3x3_1_, branch3x3dbl_1_, branch_pool_},
                                    /*averaged_last=*/true);

  const auto branch3x3dbl = branch3x3dbl_2_->forward(first[2]);  // (N, 384, H, W)

  // 320, four times 384 and 192 channels
  return branches.join({first[0], first[1], first[1], branch3x3dbl, branch3x3dbl, first[3]});
}

InceptionAuxImpl::InceptionAuxImpl(std::int64_t in_channels, std::int64_t num_classes) {
  conv0_ = register_module("conv0", same(in_channels, 128, 1));
  conv1_ = register_module("conv1", ConvBnRelu(torch::nn::Conv2dOptions(128, 768, 5)));
  fc_ = register_module("fc", torch::nn::Linear(768, num_classes));
}

torch::Tensor InceptionAuxImpl::forward(const torch::Tensor& x) {
  auto y = at::avg_pool2d(x, /*kernel_size=*/5, /*stride=*/3);  // (N, in, 5, 5) of 17 x 17
  y = conv0_->forward(y);                                       // (N, 128, 5, 5)
  y = conv1_->forward(y);                                       // (N, 768, 1, 1)
  return fc_->forward(global_average_pool(y));                  // (N, num_classes)
}

}  // namespace xception
