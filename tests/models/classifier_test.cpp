// What every network gets from its base class, and must not remember itself.

#include "xception/models/classifier.h"

#include <ATen/autocast_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/conv.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <memory>

#include "xception/core/error.h"
#include "xception/models/batch_norm.h"

namespace xception {
namespace {

/// A convolution with a BatchNorm, and another BatchNorm that has nothing to do.
class OneOfTwo : public Classifier {
 public:
  OneOfTwo() {
    conv_ = register_module("conv", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 8, 3)));
    used = register_module("used", BatchNorm2d(conv_));
    idle = register_module("idle", BatchNorm2d(torch::nn::BatchNorm2dOptions(8)));
  }

  BatchNorm2d used{nullptr}, idle{nullptr};
  torch::Tensor seen;  ///< the images of the latest pass

 private:
  ClassifierOutput compute(const torch::Tensor& images) override {
    seen = images;
    return {.logits = used->forward(conv_->forward(images)).mean({2, 3}), .aux = {}};
  }

  torch::nn::Conv2d conv_{nullptr};
};

std::int64_t batches(const BatchNorm2d& norm) {
  return norm->num_batches_tracked.item<std::int64_t>();
}

TEST(Classifier, CountsTheBatchesOfEachBatchNormThatSawThem) {
  for (const auto kernels : {Kernels::reference, Kernels::fused}) {
    for (const bool channels_last : {false, true}) {
      OneOfTwo model;
      use_kernels(model, kernels);
      const auto format =
          channels_last ? torch::MemoryFormat::ChannelsLast : torch::MemoryFormat::Contiguous;
      const auto x = torch::randn({2, 3, 5, 5}).contiguous(format);
      model.forward(x);
      model.forward(x);
      model.eval();
      model.forward(x);
      EXPECT_EQ(batches(model.used), 2) << kernels_name(kernels);
      EXPECT_EQ(batches(model.idle), 0) << kernels_name(kernels);
      model.train();
      model.forward(x);
      EXPECT_EQ(batches(model.used), 3) << kernels_name(kernels);
    }
  }
}

TEST(Classifier, GivesImagesAsAutocastWouldRoundThem) {
  const torch::NoGradGuard no_grad;
  OneOfTwo model;
  model.eval();
  const auto x = torch::randn({2, 3, 5, 5});
  const auto rounded = x.to(torch::kBFloat16);
  model.forward(x);
  EXPECT_TRUE(model.seen.is_same(x));
  at::autocast::set_autocast_enabled(torch::kCPU, true);
  at::autocast::set_autocast_dtype(torch::kCPU, torch::kBFloat16);
  model.forward(x);
  EXPECT_TRUE(torch::equal(model.seen, rounded));
  model.forward(rounded);
  EXPECT_TRUE(model.seen.is_same(rounded)) << "copied for nothing";
  model.to(torch::kFloat64);
  model.forward(x.to(torch::kFloat64));
  EXPECT_EQ(model.seen.scalar_type(), torch::kFloat64);
  at::autocast::set_autocast_enabled(torch::kCPU, false);
  at::autocast::clear_cache();
}

TEST(SynchronizeBatchNorm, RefusesLibTorchsOwn) {
  torch::nn::Module network;
  const auto block = network.register_module("block", std::make_shared<torch::nn::Module>());
  block->register_module("ours", BatchNorm2d(torch::nn::BatchNorm2dOptions(4)));
  EXPECT_NO_THROW(synchronize_batch_norm(network, nullptr));
  block->register_module("theirs", torch::nn::BatchNorm2d(4));
  try {
    synchronize_batch_norm(network, nullptr);
    FAIL() << "a BatchNorm that would be left out in silence";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::input);
    EXPECT_THAT(error.what(), testing::HasSubstr(
                                  "[models] parallel.batch_norm=sync: block.theirs is LibTorch's"));
  }
}

}  // namespace
}  // namespace xception
