#include "xception/models/inception_v3.h"

#include <gtest/gtest.h>
#include <torch/utils.h>

#include <string>

#include "xception/core/error.h"
#include "xception/models/registry.h"

namespace xception {
namespace {

ModelConfig inception(bool aux_logits, std::int64_t num_classes = 10) {
  ModelConfig config;
  config.name = "inception_v3";
  config.aux_logits = aux_logits;
  config.num_classes = num_classes;
  return config;
}

std::int64_t inception_parameters(const ModelConfig& config) {
  std::int64_t count = 0;
  for (const auto& parameter : build_model(config)->parameters()) count += parameter.numel();
  return count;
}

TEST(InceptionV3Parameters, WithAndWithoutAux) {
  EXPECT_EQ(inception_parameters(inception(true)), 24'371'444);
  EXPECT_EQ(inception_parameters(inception(false)), 21'806'058);
  EXPECT_EQ(inception_parameters(inception(true, 1000)), 27'161'264);
  EXPECT_EQ(inception_parameters(inception(false, 1000)), 23'834'568);
}

TEST(InceptionV3Forward, TakesAnySizeFromTheMinimum) {
  const auto model = build_model(inception(true));
  model->eval();
  const torch::NoGradGuard no_grad;
  for (const std::int64_t size : {75, 76, 130}) {
    const ClassifierOutput out = model->forward(torch::randn({1, 3, size, size + 3}));
    EXPECT_EQ(out.logits.sizes(), (std::vector<std::int64_t>{1, 10}));
    EXPECT_TRUE(out.aux.empty());
  }
  EXPECT_ANY_THROW(model->forward(torch::randn({1, 3, 74, 74})));
}

TEST(InceptionV3Forward, RunsAuxInTrainingWhenItsLossCounts) {
  ModelConfig config = inception(true);
  config.aux_weight = 0.4;
  const auto model = build_model(config);
  const torch::NoGradGuard no_grad;
  const auto images = torch::randn({2, 3, 299, 299});
  EXPECT_EQ(model->forward(images).aux.at(0).sizes(), (std::vector<std::int64_t>{2, 10}));
  EXPECT_ANY_THROW(model->forward(torch::randn({2, 3, 298, 298})));
  model->eval();
  EXPECT_TRUE(model->forward(images).aux.empty());
}

// The head exists, but its loss isn't asked for: the notebook's Inception V3.
TEST(InceptionV3Forward, LeavesAnIdleAuxWithoutGradients) {
  ModelConfig config = inception(true);
  config.aux_weight = 0.0;
  const auto model = build_model(config);
  const ClassifierOutput out = model->forward(torch::randn({2, 3, 75, 75}));
  EXPECT_TRUE(out.aux.empty());
  out.logits.sum().backward();
  for (const auto& item : model->named_parameters()) {
    EXPECT_EQ(item.value().grad().defined(), !item.key().starts_with("AuxLogits.")) << item.key();
  }
}

TEST(InceptionV3Config, WrongOptionsAreInputErrors) {
  ModelConfig config = inception(false);
  config.aux_weight = 0.4;
  EXPECT_THROW(static_cast<void>(build_model(config)), Error);
  config = inception(true);
  config.variant = "paper";
  EXPECT_THROW(static_cast<void>(build_model(config)), Error);
}

TEST(InceptionV3Dropout, IsHalfUnlessSet) {
  const auto images = torch::randn({4, 3, 75, 75});
  const torch::NoGradGuard no_grad;
  const auto model = build_model(inception(false));
  EXPECT_FALSE(torch::equal(model->forward(images).logits, model->forward(images).logits));
  ModelConfig config = inception(false);
  config.dropout = 0.0;
  const auto plain = build_model(config);
  EXPECT_TRUE(torch::equal(plain->forward(images).logits, plain->forward(images).logits));
}

}  // namespace
}  // namespace xception
