#include "xception/models/inception_blocks.h"

#include "xception/kernels/avg_pool.h"
#include "xception/kernels/bn_act.h"

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

}  // namespace

// Units are built and registered in torchvision's order: so they draw the same initial values.

InceptionBlock inception_a(std::int64_t in, std::int64_t pool_channels) {
  InceptionBlock a;
  a->add({a->unit("branch1x1", same(in, 64, 1))});
  a->add({a->unit("branch5x5_1", same(in, 48, 1)), a->unit("branch5x5_2", same(48, 64, 5))});
  a->add({
      a->unit("branch3x3dbl_1", same(in, 64, 1)),
      a->unit("branch3x3dbl_2", same(64, 96, 3)),
      a->unit("branch3x3dbl_3", same(96, 96, 3)),
  });
  a->add({a->unit("branch_pool", same(in, pool_channels, 1))}, Branch::Pooling::average);
  return a;
}

InceptionBlock inception_b(std::int64_t in) {
  InceptionBlock b;
  b->add({b->unit("branch3x3", halving(in, 384))});
  b->add({
      b->unit("branch3x3dbl_1", same(in, 64, 1)),
      b->unit("branch3x3dbl_2", same(64, 96, 3)),
      b->unit("branch3x3dbl_3", halving(96, 96)),
  });
  b->add({}, Branch::Pooling::max);
  return b;
}

InceptionBlock inception_c(std::int64_t in, std::int64_t c7) {
  InceptionBlock c;
  c->add({c->unit("branch1x1", same(in, 192, 1))});
  c->add({
      c->unit("branch7x7_1", same(in, c7, 1)),
      c->unit("branch7x7_2", same(c7, c7, {1, 7})),
      c->unit("branch7x7_3", same(c7, 192, {7, 1})),
  });
  c->add({
      c->unit("branch7x7dbl_1", same(in, c7, 1)),
      c->unit("branch7x7dbl_2", same(c7, c7, {7, 1})),
      c->unit("branch7x7dbl_3", same(c7, c7, {1, 7})),
      c->unit("branch7x7dbl_4", same(c7, c7, {7, 1})),
      c->unit("branch7x7dbl_5", same(c7, 192, {1, 7})),
  });
  c->add({c->unit("branch_pool", same(in, 192, 1))}, Branch::Pooling::average);
  return c;
}

InceptionBlock inception_d(std::int64_t in) {
  InceptionBlock d;
  d->add({d->unit("branch3x3_1", same(in, 192, 1)), d->unit("branch3x3_2", halving(192, 320))});
  d->add({
      d->unit("branch7x7x3_1", same(in, 192, 1)),
      d->unit("branch7x7x3_2", same(192, 192, {1, 7})),
      d->unit("branch7x7x3_3", same(192, 192, {7, 1})),
      d->unit("branch7x7x3_4", halving(192, 192)),
  });
  d->add({}, Branch::Pooling::max);
  return d;
}

InceptionBlock inception_e(std::int64_t in) {
  InceptionBlock e;
  e->add({e->unit("branch1x1", same(in, 320, 1))});
  const auto branch3x3_1 = e->unit("branch3x3_1", same(in, 384, 1));
  e->add({branch3x3_1, e->unit("branch3x3_2a", same(384, 384, {1, 3}))});
  e->add({branch3x3_1, e->unit("branch3x3_2b", same(384, 384, {3, 1}))});
  const auto dbl_1 = e->unit("branch3x3dbl_1", same(in, 448, 1));
  const auto dbl_2 = e->unit("branch3x3dbl_2", same(448, 384, 3));
  e->add({dbl_1, dbl_2, e->unit("branch3x3dbl_3a", same(384, 384, {1, 3}))});
  e->add({dbl_1, dbl_2, e->unit("branch3x3dbl_3b", same(384, 384, {3, 1}))});
  e->add({e->unit("branch_pool", same(in, 192, 1))}, Branch::Pooling::average);
  return e;
}

InceptionAuxImpl::InceptionAuxImpl(std::int64_t in_channels, std::int64_t num_classes) {
  conv0_ = register_module("conv0", same(in_channels, 128, 1));
  conv1_ = register_module("conv1", ConvBnRelu(torch::nn::Conv2dOptions(128, 768, 5)));
  fc_ = register_module("fc", torch::nn::Linear(768, num_classes));
}

torch::Tensor InceptionAuxImpl::forward(const torch::Tensor& x) {
  // (N, in, 5, 5) of 17 x 17
  const bool fused = kernels() == Kernels::fused && x.is_cuda() && can_fuse_image(x);
  auto y = fused ? fused_avg_pool(x, 5, 3) : at::avg_pool2d(x, /*kernel_size=*/5, /*stride=*/3);
  y = conv0_->forward(y);                       // (N, 128, 5, 5)
  y = conv1_->forward(y);                       // (N, 768, 1, 1)
  return fc_->forward(global_average_pool(y));  // (N, num_classes)
}

}  // namespace xception
