#include "xception/train/run_config.h"

#include <gtest/gtest.h>

#include "data/file_testing.h"
#include "xception/models/registry.h"
#include "xception/train/recipes.h"

namespace xception {
namespace {

class RunConfigTest : public FolderTest {
 protected:
  std::string error_in(const std::string& json) {
    const auto file = write("a.json", json);
    return error_of([&] { (void)load_config(file, {}); });
  }
};

void expect_in(const std::string& message, const std::string& part) {
  EXPECT_NE(message.find(part), std::string::npos) << message << "\n  lacks: " << part;
}

std::string override_error(const std::string& text) {
  return error_of([&] { (void)load_config({}, {text}); });
}

TEST_F(RunConfigTest, OverridesComeAfterTheFile) {
  const auto file = write("a.json", R"({"train": {"epochs": 3, "batch_size": 7}, "seed": 5})");
  const auto config = load_config(file, {"train.epochs=6", "model.name=other"});
  EXPECT_EQ(config.train.epochs, 6);
  EXPECT_EQ(config.train.batch_size, 7);
  EXPECT_EQ(config.seed, 5);
  EXPECT_EQ(config.model.name, "other");
  EXPECT_TRUE(config.given.contains("train.epochs"));
  EXPECT_TRUE(config.given.contains("seed"));
  EXPECT_FALSE(config.given.contains("train.precision"));
}

TEST_F(RunConfigTest, WrittenAndReadBackIsTheSame) {
  const auto config =
      load_config({}, {"optimizer.lr=0.1", "model.aux_weight=0.25", "augment.std=[0.1,0.2,0.3]",
                       R"(augment.train=[{"name":"resize","size":80}])", "model.residual=false"});
  const auto json = to_json(config);
  EXPECT_EQ(to_json(load_config(write("b.json", json.dump()), {})), json);
}

TEST_F(RunConfigTest, NullIsLeftToTheProgram) {
  const auto config = load_config({}, {"model.aux_weight=null"});
  EXPECT_FALSE(config.model.aux_weight.has_value());
  EXPECT_FALSE(config.given.contains("model.aux_weight"));
}

TEST_F(RunConfigTest, UnknownKeysNameTheNearest) {
  expect_in(error_in(R"({"train": {"epoch": 3}})"),
            "a.json: train.epoch: unknown key; did you "
            "mean train.epochs?");
  expect_in(error_in(R"({"trian": {"epochs": 3}})"), "did you mean train?");
  expect_in(override_error("optimizer.learning_rate=1"), "command line: optimizer.learning_rate");
  expect_in(override_error("epochs=1"), "unknown key");
}

TEST_F(RunConfigTest, WrongTypesSayWhatWasFoundAndExpected) {
  expect_in(error_in(R"({"train": {"epochs": "three"}})"),
            "train.epochs: found \"three\", expected an integer, 1 <= x <= 1000000");
  expect_in(error_in(R"({"train": {"epochs": 1.5}})"), "expected an integer");
  expect_in(error_in(R"({"train": {"channels_last": 1}})"), "expected true or false");
  expect_in(error_in(R"({"model": {"name": 3}})"), "expected a string");
  expect_in(error_in(R"({"augment": {"mean": [0.1]}})"), "a list of 3 numbers");
  expect_in(error_in(R"({"augment": {"train": [{"size": 3}]}})"), "each with a \"name\"");
  expect_in(error_in(R"({"train": 3})"), "train: found 3, expected an object");
  expect_in(error_in("[1]"), "expected an object");
}

TEST_F(RunConfigTest, RangesAndChoicesAreChecked) {
  expect_in(override_error("optimizer.lr=0"), "out of range; expected > 0");
  expect_in(override_error("optimizer.lr=-1e-3"), "out of range");
  expect_in(override_error("optimizer.beta1=1"), "0 <= x < 1");
  expect_in(override_error("train.precision=fp8"), "expected one of fp32, fp16, bf16, fp64");
  expect_in(override_error("train.precision=bf61"), "did you mean bf16?");
  expect_in(override_error("optimizer.lr=1e999"), "optimizer.lr");
  expect_in(override_error("train.epochs=18446744073709551615"), "out of range");
  expect_in(override_error("model.name=\xff"), "not UTF-8");
  expect_in(override_error("train.epochs"), "expected key=value");
  expect_in(override_error("augment.std=[0.1,"), "malformed JSON");
}

TEST_F(RunConfigTest, NumbersThatOverflowAreErrorsOfTheFile) {
  expect_in(error_in(R"({"optimizer": {"lr": 1e999}})"), "a.json");
}

TEST_F(RunConfigTest, NewerKeysDecideNothingAtTheirDefaults) {
  auto older = to_json(RunConfig());
  older.erase("average");
  older["optimizer"].erase("decay_norm_and_bias");
  older["schedule"].erase("power");
  older["train"].erase("early_stop_patience");
  EXPECT_EQ(decisive_config(to_json(RunConfig())), decisive_config(older));
  const auto changed = decisive_config(
      to_json(load_config({}, {"average.name=swa", "optimizer.decay_norm_and_bias=false"})));
  EXPECT_EQ(changed.at("average"), nlohmann::json({{"name", "swa"}}));
  EXPECT_EQ(changed.at("optimizer").at("decay_norm_and_bias"), false);
}

TEST_F(RunConfigTest, SchemaListsEveryKeyWithItsDefault) {
  const auto schema = config_schema();
  const auto json = to_json(RunConfig());
  std::size_t keys = 2;  // seed, description
  for (const auto& [name, section] : json.items()) {
    if (section.is_object()) keys += section.size();
  }
  EXPECT_EQ(schema.size(), keys);
  for (const auto& key : schema) {
    EXPECT_FALSE(key.meaning.empty()) << key.key;
    const auto dot = key.key.find('.');
    if (dot == std::string::npos) continue;
    EXPECT_EQ(json.at(key.key.substr(0, dot)).at(key.key.substr(dot + 1)), key.default_value)
        << key.key;
  }
}

TEST_F(RunConfigTest, DescriptionDecidesNothing) {
  const auto described = load_config({}, {"description=of a test"});
  EXPECT_EQ(described.description, "of a test");
  EXPECT_EQ(decisive_config(to_json(described)), decisive_config(to_json(RunConfig())));
}

TEST_F(RunConfigTest, EveryRecipeIsGood) {
  ASSERT_GT(recipes().size(), 5U);
  for (const auto& recipe : recipes()) {
    SCOPED_TRACE(recipe.name);
    auto config = load_config(recipe_path(recipe.name), {"train.log_interval=7"});
    EXPECT_NO_THROW(check_together(config));
    EXPECT_NO_THROW(resolve_model(config));
    EXPECT_TRUE(unread_keys(config).empty()) << unread_keys(config).front();
    EXPECT_FALSE(config.description.empty());
    // So that predict takes pictures of any size.
    ASSERT_FALSE(config.augment.test.empty());
    EXPECT_EQ(config.augment.test.back().at("name"), "center_crop");
    EXPECT_EQ(config.train.log_interval, 7);
    EXPECT_EQ(config_name(recipe_path(recipe.name)), recipe.name);
  }
  EXPECT_EQ(config_name("a/b.json"), "b");
  EXPECT_EQ(recipe_of("a/recipe:b.json"), nullptr);
}

TEST_F(RunConfigTest, UnknownRecipesNameTheNearest) {
  const auto message = error_of([] { (void)load_config(recipe_path("notebook-as-ran"), {}); });
  expect_in(message, "notebook-as-ran: unknown recipe");
  expect_in(message, "did you mean notebook-as-run?");
}

}  // namespace
}  // namespace xception
