#include "xception/models/complexity.h"

#include <gtest/gtest.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include "xception/models/registry.h"
#include "xception/models/xception.h"

namespace xception {
namespace {

TEST(Complexity, OfXception) {
  const auto model = build_model(ModelConfig{});
  const Complexity cost = count_complexity(*model, 299);
  EXPECT_EQ(cost.parameters, 20'827'442);
  EXPECT_EQ(cost.multiply_adds, 8'355'375'976);
  EXPECT_EQ(cost.activations, 35'824'978);
}

TEST(Complexity, OfInceptionV3) {
  ModelConfig config;
  config.name = "inception_v3";
  // The head is built and would run in training; evaluation doesn't.
  config.aux_weight = 0.4;
  const auto model = build_model(config);
  const Complexity cost = count_complexity(*model, 299);
  EXPECT_EQ(cost.parameters, 24'371'444);
  EXPECT_EQ(cost.multiply_adds, 5'711'188'576);
  EXPECT_EQ(cost.activations, 8'967'498);
}

/// 3x3 convolution in two groups with bias, then a linear layer.
class Tiny : public Classifier {
 public:
  Tiny() {
    conv = register_module(
        "conv", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 6, 3).groups(3).stride(2)));
    fc = register_module("fc", torch::nn::Linear(6, 4));
    bias = register_parameter("bias", torch::zeros({4}), /*requires_grad=*/false);
  }
  ClassifierOutput compute(const torch::Tensor& images) override {
    return {.logits = fc->forward(conv->forward(images).mean({2, 3})) + bias, .aux = {}};
  }

  torch::nn::Conv2d conv{nullptr};
  torch::nn::Linear fc{nullptr};
  torch::Tensor bias;
};

TEST(Complexity, ByHand) {
  Tiny model;
  const Complexity cost = count_complexity(model, 9);     // 9 -> 4 px
  EXPECT_EQ(cost.parameters, 6 * 9 + 6 + 6 * 4 + 4 + 4);  // the frozen bias too
  EXPECT_EQ(cost.activations, 6 * 16 + 4);
  EXPECT_EQ(cost.multiply_adds, 6 * 16 * 9 + 6 * 4);
}

TEST(Complexity, LeavesTheModelAsItWas) {
  ModelConfig config;
  config.own<WidthOptions>().width = 0.1;
  const auto model = build_model(config);
  const auto before = model->named_buffers()["bn1.running_var"].clone();
  for (const bool training : {true, false}) {
    model->train(training);
    const Complexity first = count_complexity(*model, 71);
    EXPECT_EQ(count_complexity(*model, 71).multiply_adds, first.multiply_adds);
    EXPECT_EQ(model->is_training(), training);
    EXPECT_EQ(model->modules().back()->is_training(), training);
  }
  EXPECT_TRUE(torch::equal(model->named_buffers()["bn1.running_var"], before));
  EXPECT_TRUE(torch::GradMode::is_enabled());
}

}  // namespace
}  // namespace xception
