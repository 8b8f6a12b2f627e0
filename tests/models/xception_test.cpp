#include "xception/models/xception.h"

#include <gtest/gtest.h>

#include <string>

#include "xception/core/error.h"
#include "xception/models/registry.h"

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
  config.own<XceptionOptions>().width = 0.01;
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
  config.own<XceptionOptions>().width = 0.1;
  config.num_classes = 7;
  const auto model = build_model(config);
  for (const std::int64_t size : {71, 72, 100, 299}) {
    model->train();
    EXPECT_EQ(model->forward(torch::randn({2, 3, size, size})).logits.sizes(),
              (std::vector<std::int64_t>{2, 7}));
    model->eval();
    const ClassifierOutput out = model->forward(torch::randn({1, 3, size, size + 3}));
    EXPECT_EQ(out.logits.sizes(), (std::vector<std::int64_t>{1, 7}));
    EXPECT_FALSE(out.aux.defined());
  }
}

INSTANTIATE_TEST_SUITE_P(All, XceptionVariant, testing::Values("paper", "notebook"));

TEST(XceptionDropout, ActsInTrainingOnly) {
  ModelConfig config;
  config.own<XceptionOptions>().width = 0.1;
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
