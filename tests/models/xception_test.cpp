#include "xception/models/xception.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "xception/core/error.h"
#include "xception/models/batch_norm.h"
#include "xception/models/registry.h"
#include "xception/models/stem.h"

namespace xception {
namespace {

std::int64_t parameters_of(const ModelConfig& config) {
  std::int64_t count = 0;
  for (const auto& parameter : build_model(config)->parameters()) count += parameter.numel();
  return count;
}

TEST(XceptionParameters, Paper) {
  ModelConfig config;
  EXPECT_EQ(parameters_of(config), 20'827'442);
  config.num_classes = 1000;
  EXPECT_EQ(parameters_of(config), 22'855'952);
}

TEST(XceptionParameters, Notebook) {
  ModelConfig config;
  config.variant = "notebook";
  EXPECT_EQ(parameters_of(config), 20'825'402);
}

TEST(XceptionParameters, WithoutResidualConnections) {
  ModelConfig config;
  config.own<XceptionOptions>().residual = false;
  EXPECT_EQ(parameters_of(config), 19'850'370);
  config.num_classes = 1000;
  EXPECT_EQ(parameters_of(config), 21'878'880);
}

TEST(XceptionParameters, WidthAndDepth) {
  ModelConfig config;
  config.own<XceptionOptions>().middle_blocks = 7;
  // Three separable convolutions of 728 channels with BatchNorm.
  EXPECT_EQ(parameters_of(config), 20'827'442 - 3 * (728 * 9 + 728 * 728 + 2 * 728));

  config = ModelConfig{};
  // 8 channels everywhere, but 2048 / 100 makes 24 and 1536 / 100 makes 16
  config.own<WidthOptions>().width = 0.01;
  const auto model = build_model(config);
  const auto weights = model->named_parameters();
  EXPECT_EQ(weights["conv1.weight"].size(0), 8);
  EXPECT_EQ(weights["block12.rep.4.pointwise.weight"].size(0), 8);
  EXPECT_EQ(weights["conv3.pointwise.weight"].size(0), 16);
  EXPECT_EQ(weights["fc.weight"].size(1), 24);
}

class XceptionVariant : public testing::TestWithParam<const char*> {};

TEST_P(XceptionVariant, TakesAnySizeFromTheMinimum) {
  ModelConfig config;
  config.variant = GetParam();
  config.own<WidthOptions>().width = 0.1;
  config.num_classes = 7;
  const auto model = build_model(config);
  for (const std::int64_t size : {71, 72, 100, 299}) {
    model->train();
    EXPECT_EQ(model->forward(torch::randn({2, 3, size, size})).logits.sizes(),
              (std::vector<std::int64_t>{2, 7}));
    model->eval();
    const ClassifierOutput out = model->forward(torch::randn({1, 3, size, size + 3}));
    EXPECT_EQ(out.logits.sizes(), (std::vector<std::int64_t>{1, 7}));
    EXPECT_TRUE(out.aux.empty());
  }
}

TEST_P(XceptionVariant, KeepsTheSizeOfSmallImagesInASmallStem) {
  for (const auto* padding : {"symmetric", "same"}) {
    ModelConfig config;
    config.variant = GetParam();
    config.own<WidthOptions>().width = 0.1;
    config.own<XceptionOptions>() = {.middle_blocks = 1, .padding = padding};
    config.own<StemOptions>().stem = "small";
    const auto model = build_model(config);
    ModelConfig standard = config;
    standard.own<StemOptions>().stem = "standard";
    const auto usual = build_model(standard);
    // The same parameters.
    const auto weights = model->named_parameters();
    ASSERT_EQ(weights.size(), usual->named_parameters().size());
    for (const auto& parameter : usual->named_parameters()) {
      EXPECT_EQ(weights[parameter.key()].sizes(), parameter.value().sizes()) << parameter.key();
    }
    for (const std::int64_t size : {9, 16, 32, 33}) {
      EXPECT_EQ(model->forward(torch::randn({2, 3, size, size})).logits.sizes(),
                (std::vector<std::int64_t>{2, 10}));
    }
    EXPECT_EQ(min_image_size(config), 9);
    EXPECT_EQ(min_image_size(standard), 71);
  }
}

TEST(XceptionStochasticDepth, SkipsBlocksOfTheMiddleFlow) {
  ModelConfig config;
  config.own<WidthOptions>().width = 0.05;
  config.own<XceptionOptions>() = {.middle_blocks = 2, .stochastic_depth = 0.5};
  config.own<StemOptions>().stem = "small";
  const auto model = build_model(config);
  model->eval();
  const auto children = model->named_children();
  const auto x = torch::randn({512, 40, 3, 3});  // 728 x 0.05 is 40 channels
  const torch::NoGradGuard no_grad;
  // An image's part beside the shortcut is left out, or divided by the share of those that have it.
  for (const auto& [name, dropped] : {std::pair{"block4", 0.25}, std::pair{"block5", 0.5}}) {
    const auto block = std::dynamic_pointer_cast<XceptionBlockImpl>(children[name]);
    const auto whole = block->forward(x) - x;
    block->train();
    // Both modes normalize alike.
    for (const auto& module : block->modules(/*include_self=*/false)) {
      if (module->as<BatchNorm2dImpl>() != nullptr) module->eval();
    }
    const auto parts = block->forward(x) - x;
    const auto left_out = (parts == 0).flatten(1).all(1);
    EXPECT_NEAR(left_out.to(torch::kFloat64).mean().item<double>(), dropped, 0.1) << name;
    const auto expected =
        torch::where(left_out.view({-1, 1, 1, 1}), torch::zeros_like(whole), whole / (1 - dropped));
    EXPECT_LT((parts - expected).abs().max().item<double>(), 1e-4) << name;
    block->eval();
    EXPECT_TRUE(torch::equal(block->forward(x) - x, whole)) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, XceptionVariant, testing::Values("paper", "notebook"));

TEST(XceptionDropout, ActsInTrainingOnly) {
  ModelConfig config;
  config.own<WidthOptions>().width = 0.1;
  config.dropout = 0.9;
  const auto model = build_model(config);
  const auto images = torch::randn({4, 3, 71, 71});
  EXPECT_FALSE(torch::equal(model->forward(images).logits, model->forward(images).logits));
  model->eval();
  EXPECT_TRUE(torch::equal(model->forward(images).logits, model->forward(images).logits));
  // Unset is none.
  config.dropout = std::nullopt;
  const auto plain = build_model(config);
  EXPECT_TRUE(torch::equal(plain->forward(images).logits, plain->forward(images).logits));
}

TEST(XceptionConfig, WrongSpellingsAreInputErrors) {
  for (auto spoil :
       {+[](ModelConfig& c) { c.variant = "notebok"; },
        +[](ModelConfig& c) { c.own<XceptionOptions>().separable_order = "both"; },
        +[](ModelConfig& c) { c.own<XceptionOptions>().intermediate_activation = "rrelu"; }}) {
    ModelConfig config;
    spoil(config);
    EXPECT_THROW(static_cast<void>(build_model(config)), Error);
  }
}

}  // namespace
}  // namespace xception
