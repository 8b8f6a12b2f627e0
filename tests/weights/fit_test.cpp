// Which tensors a model takes, and what is said of the others.

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "data/file_testing.h"
#include "models/module_state.h"
#include "xception/models/registry.h"
#include "xception/models/stem.h"
#include "xception/models/xception.h"
#include "xception/weights/fit.h"
#include "xception/weights/recognize.h"

namespace xception {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

ModelConfig small(std::int64_t classes) {
  ModelConfig config;
  config.num_classes = classes;
  config.own<WidthOptions>().width = 0.25;
  config.own<XceptionOptions>().middle_blocks = 1;
  return config;
}

/// A model's own tensors, as a file has them.
WeightFile weights_of(const ModelConfig& config, int seed = 1) {
  torch::manual_seed(seed);
  WeightFile weights{.file = "some.file"};
  for (const auto& [name, tensor] : module_state(*build_model(config))) {
    weights.tensors.emplace(name, tensor.detach().clone());
    weights.order.push_back(name);
  }
  return weights;
}

TEST(FitWeights, CopiesAllInPlace) {
  const auto weights = weights_of(small(7));
  torch::manual_seed(2);
  const auto model = build_model(small(7));
  const auto parameter = model->parameters()[0];
  const auto report = fit_weights(*model, weights);
  EXPECT_EQ(report.matched.size(), weights.tensors.size());
  EXPECT_TRUE(parameter.equal(weights.tensors.at("conv1.weight")));
  EXPECT_TRUE(parameter.requires_grad());
  for (const auto& [name, tensor] : module_state(*model)) {
    EXPECT_TRUE(tensor.equal(weights.tensors.at(name))) << name;
  }
}

TEST(FitWeights, AnotherNumberOfClassesNeedsReplaceHead) {
  const auto weights = weights_of(small(7));
  torch::manual_seed(2);
  const auto model = build_model(small(3));
  const auto before = model->named_parameters()["conv1.weight"].clone();
  const auto head = model->named_parameters()["fc.weight"].clone();
  EXPECT_THAT(error_of([&] { fit_weights(*model, weights); }),
              AllOf(HasSubstr("some.file"), HasSubstr("7 classes"), HasSubstr("model of 3")));
  EXPECT_TRUE(model->named_parameters()["conv1.weight"].equal(before));  // nothing was copied
  const auto report = fit_weights(*model, weights, {.replace_head = true});
  EXPECT_EQ(report.other_size.size(), 2U);
  EXPECT_TRUE(model->named_parameters()["fc.weight"].equal(head));
  EXPECT_THAT(report.summary(), HasSubstr("fresh: fc.bias, fc.weight"));
}

TEST(FitWeights, OtherDifferencesAreErrors) {
  const auto model = build_model(small(7));
  auto wide = small(7);
  wide.own<WidthOptions>().width = 0.5;
  EXPECT_THAT(error_of([&] { fit_weights(*model, weights_of(wide), {.replace_head = true}); }),
              AllOf(HasSubstr("block1"), HasSubstr("these are another network's weights")));
  auto deep = small(7);
  deep.own<XceptionOptions>().middle_blocks = 2;
  (void)error_of([&] { fit_weights(*model, weights_of(deep)); });
  auto lacking = weights_of(small(7));
  lacking.tensors.erase("block3.skip.weight");
  EXPECT_THAT(error_of([&] { fit_weights(*model, lacking); }), HasSubstr("not block3.skip.weight"));
  auto more = weights_of(small(7));
  more.tensors.emplace("extra", at::zeros({1}));
  EXPECT_THAT(error_of([&] { fit_weights(*model, more); }), HasSubstr("doesn't have, extra"));
  EXPECT_THAT(compare_weights(*model, more).unexpected, Contains("extra"));
}

TEST(FitWeights, ValuesMustBeAModels) {
  const auto model = build_model(small(7));
  auto weights = weights_of(small(7));
  weights.tensors["fc.bias"] = at::full({7}, std::numeric_limits<double>::quiet_NaN());
  EXPECT_THAT(error_of([&] { fit_weights(*model, weights); }), HasSubstr("fc.bias"));
  weights.tensors["fc.bias"] = at::full({7}, 1e300, at::kDouble);
  EXPECT_THAT(error_of([&] { fit_weights(*model, weights); }), HasSubstr("fc.bias"));
  weights.tensors["fc.bias"] = at::ones({7}, at::kLong);
  EXPECT_THAT(error_of([&] { fit_weights(*model, weights); }), HasSubstr("Long"));
  weights.tensors["fc.bias"] = at::ones({7}, at::kHalf);
  EXPECT_NO_THROW(fit_weights(*model, weights));
  EXPECT_TRUE(model->named_parameters()["fc.bias"].equal(at::ones({7})));
}

TEST(FitWeights, CountersAndTheAuxiliaryHeadMayBeMissing) {
  auto weights = weights_of(small(7));
  std::erase_if(weights.tensors,
                [](const auto& item) { return item.first.ends_with("num_batches_tracked"); });
  const auto model = build_model(small(7));
  const auto report = fit_weights(*model, weights);
  EXPECT_FALSE(report.missing.empty());
  EXPECT_THAT(report.summary(), testing::Not(HasSubstr("fresh")));

  ModelConfig inception;
  inception.name = "inception_v3";
  const auto with_head = weights_of(inception);
  inception.aux_logits = false;
  const auto without_head = weights_of(inception);
  EXPECT_NO_THROW(fit_weights(*build_model(inception), with_head));
  inception.aux_logits = true;
  EXPECT_NO_THROW(fit_weights(*build_model(inception), without_head));
}

TEST(FitWeights, OtherNamesOfTheFinalLayer) {
  for (const std::string name : {"last_linear", "classifier", "head.fc"}) {
    auto weights = weights_of(small(7));
    for (const std::string part : {".weight", ".bias"}) {
      weights.tensors[name + part] = weights.tensors.extract("fc" + part).mapped();
    }
    EXPECT_NO_THROW(fit_weights(*build_model(small(7)), weights)) << name;
  }
}

TEST(RecognizeWeights, FindsTheModelsOptions) {
  auto config = small(7);
  config.variant = "notebook";
  const auto known = recognize_weights(weights_of(config));
  ASSERT_TRUE(known.has_value());
  EXPECT_EQ(known->model.variant, "notebook");
  EXPECT_EQ(known->model.num_classes, 7);
  EXPECT_EQ(known->model.own<WidthOptions>().width, 0.25);
  EXPECT_EQ(known->model.own<XceptionOptions>().middle_blocks, 1);
  EXPECT_NO_THROW(fit_weights(*build_model(known->model), weights_of(config)));
  WeightFile other{.file = "other", .tensors = {{"layer1.0.conv1.weight", at::zeros({1})}}};
  EXPECT_FALSE(recognize_weights(other).has_value());
}

TEST(RecognizeWeights, TellsResNetsApart) {
  for (const std::string name : {"resnet18", "resnet34", "resnet101", "resnet152"}) {
    ModelConfig config;
    config.name = name;
    config.num_classes = 7;
    if (name == "resnet34") config.own<StemOptions>().stem = "small";
    auto weights = weights_of(config);
    const auto known = recognize_weights(weights);
    ASSERT_TRUE(known.has_value()) << name;
    EXPECT_EQ(known->model.name, name);
    EXPECT_EQ(known->model.num_classes, 7);
    EXPECT_EQ(known->model.own<StemOptions>().stem, config.own<StemOptions>().stem);
    // As many blocks, but wider: another network.
    weights.tensors["layer1.0.conv2.weight"] = at::zeros({128, 128, 3, 3});
    EXPECT_FALSE(recognize_weights(weights).has_value()) << name;
  }
}

}  // namespace
}  // namespace xception
