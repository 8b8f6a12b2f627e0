#include "xception/models/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "xception/core/error.h"
#include "xception/models/batch_norm.h"

namespace xception {
namespace {

using testing::AllOf;
using testing::HasSubstr;

/// The message of the input error that `act` throws; fails if it throws none.
std::string input_message(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::input);
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

/// The config that gives these keys of `model.*`.
ModelConfig resolved(const nlohmann::json& keys, std::int64_t image_size = 299) {
  ModelConfig config;
  std::set<std::string> given;
  read_keys(keys, "test", "model", config.keys(), given);
  resolve_model(config, image_size, given);
  return config;
}

std::string refusal(const nlohmann::json& keys, std::int64_t image_size = 299) {
  return input_message([&] { static_cast<void>(resolved(keys, image_size)); });
}

TEST(Registry, EntriesAreWhole) {
  for (const ModelEntry& entry : model_registry()) {
    EXPECT_EQ(&find_model(entry.name), &entry);
    EXPECT_FALSE(entry.description.empty());
    ASSERT_FALSE(entry.variants.empty());
    EXPECT_LE(entry.min_image_size, entry.default_image_size);
    if (!entry.kind.empty()) {
      EXPECT_EQ(find_model(entry.kind).kind, "");
    }
    for (const std::string& variant : entry.variants) {
      ModelConfig config;
      config.name = entry.name;
      config.variant = variant;
      const auto model = build_model(config);
      EXPECT_TRUE(model->is_training());
      for (const auto& item : model->named_modules({}, /*include_self=*/false)) {
        if (item.value()->as<torch::nn::BatchNorm2dImpl>() == nullptr) continue;
        const auto* norm = item.value()->as<BatchNorm2dImpl>();
        ASSERT_NE(norm, nullptr) << entry.name << ": " << item.key() << " is LibTorch's own";
        EXPECT_TRUE(norm->convolution()) << entry.name << ": " << item.key();
        EXPECT_EQ(norm->options.eps(), entry.default_bn_eps) << entry.name << ": " << item.key();
      }
    }
  }
}

TEST(Registry, OneModelStandsForEachKind) {
  EXPECT_THAT(one_model_of_each_kind(),
              testing::ElementsAre("xception", "inception_v3", "resnet18"));
}

TEST(Registry, ProposesTheNearestName) {
  EXPECT_THAT(input_message([] { static_cast<void>(find_model("xcepton")); }),
              AllOf(HasSubstr("[models] "), HasSubstr("did you mean \"xception\"")));
  EXPECT_THAT(refusal({{"name", "inception_v4"}}), HasSubstr("did you mean \"inception_v3\""));
  EXPECT_THAT(refusal({{"variant", "notebok"}}), HasSubstr("did you mean \"notebook\""));
  EXPECT_THAT(refusal({{"name", "inception_v3"}, {"variant", "paper"}}),
              HasSubstr("inception_v3 has torchvision"));
}

TEST(Registry, OptionsHaveNamesOfTheirOwn) {
  // Of two keys with one name, only one would be written.
  ModelConfig config;
  std::set<std::string> names;
  for (const Key& key : config.keys()) EXPECT_TRUE(names.insert(key.name).second) << key.name;
}

TEST(ResolveModel, FillsInTheModelsOwn) {
  const ModelConfig xception = resolved(nlohmann::json::object());
  EXPECT_EQ(xception.variant, "paper");
  EXPECT_EQ(xception.dropout, 0.0);
  EXPECT_EQ(xception.aux_weight, 0.0);
  const ModelConfig inception = resolved({{"name", "inception_v3"}});
  EXPECT_EQ(inception.variant, "torchvision");
  EXPECT_EQ(inception.dropout, 0.5);
  EXPECT_EQ(inception.bn_eps, 1e-3);
  EXPECT_EQ(inception.aux_weight, 0.4);
  const ModelConfig googlenet = resolved({{"name", "googlenet"}}, 32);
  EXPECT_EQ(googlenet.dropout, 0.2);
  EXPECT_EQ(googlenet.bn_eps, 1e-3);
  EXPECT_EQ(googlenet.aux_weight, 0.3);
  EXPECT_EQ(resolved({{"name", "vgg16"}}).dropout, 0.5);
  EXPECT_EQ(resolved({{"name", "resnet9"}}).variant, "dawnbench");
}

TEST(ResolveModel, MinimumFollowsTheStem) {
  EXPECT_THAT(refusal({{"name", "resnet18"}}, 16), AllOf(HasSubstr("16 px"), HasSubstr("17")));
  EXPECT_NO_THROW(resolved({{"name", "resnet18"}, {"stem", "small"}}, 16));
  EXPECT_THAT(refusal({{"name", "resnet9"}, {"stem", "small"}}, 16), HasSubstr("model.stem"));
}

TEST(ResetForeignKeys, LeavesWhatTheModelReads) {
  ModelConfig config;
  std::set<std::string> given;
  const nlohmann::json keys = {{"name", "resnet18"}, {"variant", "notebook"}, {"width", 0.5},
                               {"stem", "small"},    {"dropout", 0.1},        {"residual", true},
                               {"num_classes", 7}};
  read_keys(keys, "test", "model", config.keys(), given);
  auto same = config;
  EXPECT_TRUE(reset_foreign_keys(same, "resnet18", given).empty());
  auto only_variant = config;
  EXPECT_THAT(reset_foreign_keys(only_variant, "xception", {"model.variant"}),
              testing::ElementsAre("model.variant"));
  EXPECT_THAT(reset_foreign_keys(config, "xception", given),
              testing::ElementsAre("model.variant", "model.width"));
  const auto written = write_keys(config.keys());
  EXPECT_EQ(written.at("variant"), "");
  EXPECT_EQ(written.at("width"), 1.0);
  EXPECT_EQ(written.at("stem"), "small");
  EXPECT_EQ(written.at("dropout"), 0.1);
  EXPECT_EQ(written.at("num_classes"), 7);
}

/// Inception V3's keys with one more.
nlohmann::json inception_keys(const std::string& key, const nlohmann::json& value) {
  return {{"name", "inception_v3"}, {key, value}};
}

TEST(ResolveModel, AuxWeightFollowsHeadAndSize) {
  EXPECT_EQ(resolved({{"name", "inception_v3"}}, 298).aux_weight, 0.0);
  EXPECT_EQ(resolved(inception_keys("aux_logits", false)).aux_weight, 0.0);
  EXPECT_EQ(resolved(inception_keys("aux_weight", 0)).aux_weight, 0.0);
  EXPECT_EQ(resolved(inception_keys("aux_weight", 0.3)).aux_weight, 0.3);
  EXPECT_THAT(refusal(inception_keys("aux_weight", 0.3), 298),
              AllOf(HasSubstr("299 px"), HasSubstr("298"), HasSubstr("model.aux_weight=0")));
  auto headless = inception_keys("aux_weight", 0.3);
  headless["aux_logits"] = false;
  EXPECT_THAT(refusal(headless), HasSubstr("model.aux_logits=false"));
}

TEST(BuildModel, GivesEveryBatchNormTheEpsilon) {
  for (const std::string name : {"xception", "inception_v3"}) {
    for (const double eps : {1e-3, 0.5}) {
      ModelConfig config;
      config.name = name;
      config.bn_eps = eps;
      std::size_t norms = 0;
      for (const auto& module : build_model(config)->modules(/*include_self=*/false)) {
        const auto* norm = module->as<torch::nn::BatchNorm2dImpl>();
        if (norm == nullptr) continue;
        EXPECT_EQ(norm->options.eps(), eps);
        ++norms;
      }
      EXPECT_GT(norms, 30U);
    }
    // What a model is said to have is what it is built with.
    ModelConfig config;
    config.name = name;
    for (const auto& module : build_model(config)->modules(/*include_self=*/false)) {
      const auto* norm = module->as<torch::nn::BatchNorm2dImpl>();
      if (norm == nullptr) continue;
      EXPECT_EQ(norm->options.eps(), find_model(name).default_bn_eps);
    }
  }
}

TEST(ResolveModel, RefusesImagesBelowTheMinimum) {
  const auto xception = nlohmann::json::object();
  EXPECT_NO_THROW(resolved(xception, 71));
  EXPECT_THAT(refusal(xception, 70), AllOf(HasSubstr("70 px"), HasSubstr("71")));
  EXPECT_NO_THROW(resolved({{"name", "inception_v3"}}, 75));
  EXPECT_THAT(refusal({{"name", "inception_v3"}}, 74), HasSubstr("75"));
}

TEST(ResolveModel, RefusesOptionsThatTheModelDoesNotRead) {
  const std::vector<std::pair<std::string, nlohmann::json>> options = {
      {"residual", false},
      {"width", 0.5},
      {"middle_blocks", 4},
      {"separable_order", "pointwise_first"},
      {"intermediate_activation", "relu"},
      {"padding", "same"}};
  for (const auto& [option, value] : options) {
    EXPECT_NO_THROW(resolved({{option, value}}));
    EXPECT_THAT(refusal(inception_keys(option, value)),
                AllOf(HasSubstr("model." + option), HasSubstr("inception_v3"),
                      HasSubstr("num_classes, dropout, bn_eps, aux_weight, aux_logits, "
                                "transform_input")));
  }
  EXPECT_THAT(refusal({{"aux_weight", 0.4}}), HasSubstr("xception"));
  EXPECT_THAT(refusal({{"aux_logits", false}}), HasSubstr("xception"));
  EXPECT_THAT(refusal({{"transform_input", true}}), HasSubstr("xception"));
  // The default says nothing that the model would have to obey.
  EXPECT_NO_THROW(resolved(inception_keys("residual", true)));
}

TEST(ResolveModel, TakesAResolvedConfigBack) {
  for (const auto& [keys, image_size] :
       std::vector<std::pair<nlohmann::json, std::int64_t>>{{{{"residual", false}}, 96},
                                                            {{{"name", "inception_v3"}}, 299},
                                                            {{{"name", "inception_v3"}}, 96}}) {
    ModelConfig once = resolved(keys, image_size);
    const nlohmann::json written = write_keys(once.keys());
    EXPECT_FALSE(written.at("aux_weight").is_null());
    ModelConfig twice = resolved(written, image_size);
    EXPECT_EQ(nlohmann::json(write_keys(twice.keys())), written);
  }
}

}  // namespace
}  // namespace xception
