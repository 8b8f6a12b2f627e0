#include "xception/models/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <string>

#include "xception/core/error.h"

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

RunConfig resolved(const std::vector<std::string>& overrides) {
  RunConfig config = load_config({}, overrides);
  resolve_model(config);
  return config;
}

std::string refusal(const std::vector<std::string>& overrides) {
  return input_message([&] { static_cast<void>(resolved(overrides)); });
}

TEST(Registry, EntriesAreWhole) {
  const auto schema = config_schema();
  for (const ModelEntry& entry : model_registry()) {
    EXPECT_EQ(&find_model(entry.name), &entry);
    EXPECT_FALSE(entry.description.empty());
    ASSERT_FALSE(entry.variants.empty());
    EXPECT_LE(entry.min_image_size, entry.default_image_size);
    for (const std::string& option : entry.options) {
      const auto known = [&](const KeyDescription& key) { return key.key == "model." + option; };
      EXPECT_TRUE(std::any_of(schema.begin(), schema.end(), known)) << option;
    }
    for (const std::string& variant : entry.variants) {
      ModelConfig config;
      config.name = entry.name;
      config.variant = variant;
      const auto model = build_model(config);
      EXPECT_TRUE(model->is_training());
    }
  }
}

TEST(Registry, ProposesTheNearestName) {
  EXPECT_THAT(input_message([] { static_cast<void>(find_model("xcepton")); }),
              AllOf(HasSubstr("[models] "), HasSubstr("did you mean \"xception\"")));
  EXPECT_THAT(refusal({"model.name=inception_v4"}), HasSubstr("did you mean \"inception_v3\""));
  EXPECT_THAT(refusal({"model.variant=notebok"}), HasSubstr("did you mean \"notebook\""));
  EXPECT_THAT(refusal({"model.name=inception_v3", "model.variant=paper"}),
              HasSubstr("inception_v3 has torchvision"));
}

TEST(ResolveModel, FillsInTheModelsOwn) {
  const RunConfig xception = resolved({});
  EXPECT_EQ(xception.model.variant, "paper");
  EXPECT_EQ(xception.model.dropout, 0.0);
  EXPECT_EQ(xception.model.aux_weight, 0.0);
  const RunConfig inception = resolved({"model.name=inception_v3"});
  EXPECT_EQ(inception.model.variant, "torchvision");
  EXPECT_EQ(inception.model.dropout, 0.5);
  EXPECT_EQ(inception.model.aux_weight, 0.4);
}

TEST(ResolveModel, AuxWeightFollowsHeadAndSize) {
  const std::string inception = "model.name=inception_v3";
  EXPECT_EQ(resolved({inception, "data.image_size=298"}).model.aux_weight, 0.0);
  EXPECT_EQ(resolved({inception, "model.aux_logits=false"}).model.aux_weight, 0.0);
  EXPECT_EQ(resolved({inception, "model.aux_weight=0"}).model.aux_weight, 0.0);
  EXPECT_EQ(resolved({inception, "model.aux_weight=0.3"}).model.aux_weight, 0.3);
  EXPECT_THAT(refusal({inception, "model.aux_weight=0.3", "data.image_size=298"}),
              AllOf(HasSubstr("299 px"), HasSubstr("298"), HasSubstr("model.aux_weight=0")));
  EXPECT_THAT(refusal({inception, "model.aux_weight=0.3", "model.aux_logits=false"}),
              HasSubstr("model.aux_logits=false"));
}

TEST(ResolveModel, RefusesImagesBelowTheMinimum) {
  EXPECT_NO_THROW(resolved({"data.image_size=71"}));
  EXPECT_THAT(refusal({"data.image_size=70"}), AllOf(HasSubstr("70 px"), HasSubstr("71")));
  EXPECT_NO_THROW(resolved({"model.name=inception_v3", "data.image_size=75"}));
  EXPECT_THAT(refusal({"model.name=inception_v3", "data.image_size=74"}), HasSubstr("75"));
}

TEST(ResolveModel, RefusesOptionsThatTheModelDoesNotRead) {
  const std::string inception = "model.name=inception_v3";
  for (const std::string option :
       {"model.residual=false", "model.width=0.5", "model.middle_blocks=4",
        "model.separable_order=pointwise_first", "model.intermediate_activation=relu"}) {
    EXPECT_NO_THROW(resolved({option}));
    EXPECT_THAT(refusal({inception, option}),
                AllOf(HasSubstr(option.substr(0, option.find('='))), HasSubstr("inception_v3"),
                      HasSubstr("num_classes, dropout, aux_weight, aux_logits")));
  }
  EXPECT_THAT(refusal({"model.aux_weight=0.4"}), HasSubstr("xception"));
  EXPECT_THAT(refusal({"model.aux_logits=false"}), HasSubstr("xception"));
  // The default says nothing that the model would have to obey.
  EXPECT_NO_THROW(resolved({inception, "model.residual=true"}));
}

TEST(ResolveModel, TakesAResolvedConfigBack) {
  for (const std::vector<std::string>& overrides :
       {std::vector<std::string>{"model.residual=false", "data.image_size=96"},
        std::vector<std::string>{"model.name=inception_v3"},
        std::vector<std::string>{"model.name=inception_v3", "data.image_size=96"}}) {
    const RunConfig once = resolved(overrides);
    const auto file = std::filesystem::path(testing::TempDir()) / "xception_registry_test.json";
    std::ofstream(file) << to_json(once);
    RunConfig twice = load_config(file, {});
    EXPECT_TRUE(twice.given.contains("model.aux_weight"));
    resolve_model(twice);
    EXPECT_EQ(to_json(twice), to_json(once));
    std::filesystem::remove(file);
  }
}

}  // namespace
}  // namespace xception
