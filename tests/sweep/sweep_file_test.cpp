// What a sweep file means: its trials, and what is refused.
#include "xception/sweep/sweep_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "data/file_testing.h"
#include "xception/core/error.h"
#include "xception/sweep/trials.h"

namespace xception {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class SweepFileTest : public FolderTest {
 protected:
  SweepConfig read(const std::string& text, const std::vector<std::string>& overrides = {}) {
    write("sweep.json", text);
    return read_sweep(folder / "sweep.json", overrides);
  }
  std::vector<std::string> labels(const std::string& text) {
    std::vector<std::string> result;
    for (const auto& variant : expand_variants(read(text))) result.push_back(variant.label);
    return result;
  }
  TrialPlan plan(const std::string& text, const std::vector<std::string>& overrides = {}) {
    return plan_trials(read(text, overrides), "data");
  }
  std::string refusal(const std::string& text, const std::vector<std::string>& overrides = {}) {
    try {
      (void)plan(text, overrides);
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 2) << text;
      return error.what();
    }
    return "accepted";
  }
};

TEST_F(SweepFileTest, TableOfExpansions) {
  EXPECT_THAT(labels("{}"), ElementsAre("base"));
  EXPECT_THAT(labels(R"({"grid": {"optimizer.lr": [0.1, 0.01]}})"),
              ElementsAre("lr=0.1", "lr=0.01"));
  // The last key changes fastest.
  EXPECT_THAT(labels(R"({"grid": {"model.residual": [true, false], "optimizer.lr": [1, 2]}})"),
              ElementsAre("residual=true,lr=1", "residual=true,lr=2", "residual=false,lr=1",
                          "residual=false,lr=2"));
  EXPECT_THAT(labels(R"({"grid": {"optimizer.lr": [0.001, 0.0010000001, 1e-9]}})"),
              ElementsAre("lr=0.001", "lr=0.0010000001", "lr=1e-09"));
  // Draws are shortened, but not until they look alike.
  EXPECT_THAT(labels(R"({"grid": {"optimizer.lr": [0.12345678901234, 0.5]}})"),
              ElementsAre("lr=0.123457", "lr=0.5"));
  EXPECT_THAT(labels(R"({"grid": {"optimizer.lr": [0.12345678901234, 0.12345678901235]}})"),
              ElementsAre("lr=0.12345678901234", "lr=0.12345678901235"));
  EXPECT_THAT(
      labels(R"({"zip": {"optimizer.name": ["adam", "sgd"], "optimizer.lr": [0.001, 0.1]}})"),
      ElementsAre("lr=0.001,name=adam", "lr=0.1,name=sgd"));
  EXPECT_THAT(labels(R"({"list": [{"model.name": "inception_v3"}, {"model.width": 0.5}]})"),
              ElementsAre("name=inception_v3", "width=0.5"));
  // List, zip and grid multiply.
  EXPECT_THAT(labels(R"({"list": [{"model.width": 1}, {"model.width": 2}],
                         "zip": {"optimizer.lr": [1, 2], "optimizer.momentum": [0.1, 0.2]},
                         "grid": {"train.epochs": [3, 4]}})")
                  .size(),
              8U);
  // Keys that would look alike get their section.
  EXPECT_THAT(labels(R"({"grid": {"optimizer.name": ["sgd"], "schedule.name": ["cosine"]}})"),
              ElementsAre("optimizer.name=sgd,schedule.name=cosine"));
}

TEST_F(SweepFileTest, KeysGoInAlphabeticalOrder) {
  EXPECT_THAT(labels(R"({"grid": {"optimizer.lr": [1], "model.width": [1, 2]}})"),
              ElementsAre("width=1,lr=1", "width=2,lr=1"));
}

TEST_F(SweepFileTest, RandomDrawsAreOfTheirKindAndRepeat) {
  const auto text = [](int samples) {
    return R"({"random": {"seed": 3, "samples": )" + std::to_string(samples) + R"(, "keys": {
      "optimizer.lr": {"log_uniform": [1e-4, 1e-1]}, "optimizer.momentum": {"uniform": [0.2, 0.9]},
      "model.middle_blocks": {"integer": [2, 4]}, "optimizer.name": {"choice": ["adam", "sgd"]}}}})";
  };
  const auto many = expand_variants(read(text(400)));
  const auto few = expand_variants(read(text(10)));
  ASSERT_EQ(many.size(), 400U);
  std::set<std::int64_t> blocks;
  std::set<std::string> names;
  int below = 0;
  for (std::size_t i = 0; i < many.size(); ++i) {
    std::map<std::string, nlohmann::json> settings(many[i].settings.begin(),
                                                   many[i].settings.end());
    if (i < few.size()) {
      EXPECT_EQ(many[i].settings, few[i].settings);  // more samples change none
    }
    const auto lr = settings.at("optimizer.lr").get<double>();
    EXPECT_TRUE(lr >= 1e-4 && lr <= 1e-1);
    if (lr < std::sqrt(1e-4 * 1e-1)) ++below;
    const auto momentum = settings.at("optimizer.momentum").get<double>();
    EXPECT_TRUE(momentum >= 0.2 && momentum <= 0.9);
    blocks.insert(settings.at("model.middle_blocks").get<std::int64_t>());
    names.insert(settings.at("optimizer.name").get<std::string>());
  }
  EXPECT_NEAR(below, 200, 50);  // half on each side of the geometric mean
  EXPECT_THAT(blocks, ElementsAre(2, 3, 4));
  EXPECT_THAT(names, ElementsAre("adam", "sgd"));
}

TEST_F(SweepFileTest, BaseThenSetThenCommandLineThenVariant) {
  write("base.json", R"({"train": {"epochs": 1, "batch_size": 16}, "optimizer": {"lr": 0.5}})");
  const auto trials =
      plan(R"({"base": "base.json", "set": {"train.epochs": 2, "train.batch_size": 8},
                               "grid": {"optimizer.lr": [0.1, 0.2]}, "seeds": [4, 7]})",
           {"train.batch_size=4"})
          .trials;
  ASSERT_EQ(trials.size(), 4U);
  EXPECT_EQ(trials[0].config.train.epochs, 2);
  EXPECT_EQ(trials[0].config.train.batch_size, 4);
  EXPECT_EQ(trials[0].config.optimizer.lr, 0.1);
  EXPECT_EQ(trials[1].config.seed, 7);
  EXPECT_EQ(trials[2].config.optimizer.lr, 0.2);
  EXPECT_EQ(trials[0].config.model.variant, "paper");  // resolved
}

TEST_F(SweepFileTest, SeedsMayBeCounted) {
  EXPECT_THAT(read(R"({"seeds": 3})").seeds, ElementsAre(0, 1, 2));
  EXPECT_THAT(read(R"({"seeds": [5]})").seeds, ElementsAre(5));
}

TEST_F(SweepFileTest, MetricsKnowTheirDirection) {
  EXPECT_TRUE(read(R"({"metric": "test_accuracy"})").metric.maximize);
  EXPECT_FALSE(read(R"({"metric": "validation_loss"})").metric.maximize);
  EXPECT_TRUE(read(R"({"metric": "train_loss", "direction": "maximize"})").metric.maximize);
}

TEST_F(SweepFileTest, TheHashIsOfWhatChangesTheResult) {
  RunConfig config;
  const auto hash = result_hash(config, "data");
  auto other = config;
  other.data.dir = "elsewhere";
  other.parallel.threads = 7;
  other.train.log_interval = 3;
  other.train.stop_after_epoch = 2;
  EXPECT_EQ(result_hash(other, "data"), hash);
  EXPECT_NE(result_hash(config, "other data"), hash);
  other.optimizer.lr *= 2;
  EXPECT_NE(result_hash(other, "data"), hash);
  other = config;
  other.seed = 1;
  EXPECT_NE(result_hash(other, "data"), hash);
}

TEST_F(SweepFileTest, KeysOfTheBaseAreItsModels) {
  const std::string base = R"("base": {"model": {"width": 0.5, "stem": "small"},
                                       "data": {"image_size": 32}})";
  const std::string grid = R"("grid": {"model.name": ["xception", "resnet18"]})";
  const auto trials = plan("{" + base + ", " + grid + "}").trials;
  ASSERT_EQ(trials.size(), 2U);
  EXPECT_EQ(to_json(trials[0].config)["model"]["width"], 0.5);
  EXPECT_EQ(to_json(trials[1].config)["model"]["width"], 1.0);
  EXPECT_EQ(to_json(trials[1].config)["model"]["stem"], "small");
  // What the sweep itself says is meant for all.
  EXPECT_THAT(refusal("{" + base + ", " + grid + R"(, "set": {"model.width": 0.5}})"),
              HasSubstr("model.width"));
  EXPECT_THAT(refusal("{" + base + ", " + grid + "}", {"model.width=0.25"}),
              HasSubstr("model.width"));
}

TEST_F(SweepFileTest, TableOfRefusals) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> cases = {
      {R"({"gird": {}})", {"gird", "did you mean grid?"}},
      {R"({"grid": {"optimizer.learning_rate": [1]}})", {"grid", "optimizer.learning_rate"}},
      {R"({"grid": {"model.widht": [1]}})", {"model.widht", "did you mean model.width?"}},
      {R"({"grid": {"optimizer.lr": []}})", {"optimizer.lr", "at least one value"}},
      {R"({"grid": {"optimizer.lr": 0.1}})", {"optimizer.lr", "list"}},
      {R"({"grid": {}})", {"grid", "object"}},
      {R"({"grid": {"optimizer.lr": [0.1, -1]}})", {"lr=-1", "optimizer.lr", "> 0"}},
      {R"({"grid": {"model.intermediate_activation": ["relu", "swish"]}})", {"swish", "silu"}},
      {R"({"grid": {"model.name": ["xception", "inception_v3"], "model.width": [1, 0.5]}})",
       {"inception_v3", "width"}},
      {R"({"zip": {"optimizer.lr": [1, 2], "optimizer.momentum": [0.1]}})",
       {"zip", "2 values", "has 1"}},
      {R"({"list": []})", {"list"}},
      {R"({"list": [{"model.width": 1}, 3]})", {"list[1]"}},
      {R"({"random": {"keys": {"optimizer.lr": {"uniform": [1, 2]}}}})", {"random", "samples"}},
      {R"({"random": {"samples": 0, "keys": {}}})", {"samples", ">= 1"}},
      {R"({"random": {"samples": 2, "keys": {"optimizer.lr": {"uniform": [2, 1]}}}})", {"[2,1]"}},
      {R"({"random": {"samples": 2, "keys": {"optimizer.lr": {"log_uniform": [0, 1]}}}})",
       {"log_uniform"}},
      {R"({"random": {"samples": 2, "keys": {"train.epochs": {"integer": [1.5, 2]}}}})",
       {"integer"}},
      {R"({"random": {"samples": 2, "keys": {"optimizer.lr": {"normal": [0, 1]}}}})", {"normal"}},
      {R"({"grid": {"optimizer.lr": [1]}, "zip": {"optimizer.lr": [2]}})", {"swept twice"}},
      {R"({"set": {"optimizer.lr": 1}, "grid": {"optimizer.lr": [2]}})", {"set", "also swept"}},
      {R"({"grid": {"seed": [1, 2]}})", {"seeds"}},
      {R"({"seeds": []})", {"seeds"}},
      {R"({"seeds": 0})", {"seeds"}},
      {R"({"seeds": [1, 1]})", {"trained twice", "seed 1"}},
      {R"({"grid": {"optimizer.lr": [0.1, 0.10]}})", {"trained twice", "lr=0.1"}},
      {R"({"metric": "accuracy"})", {"accuracy", "no run writes", "validation_accuracy"}},
      {R"({"metric": "test_accuracy", "asha": {}})", {"test_accuracy", "no epoch"}},
      {R"({"direction": "up"})", {"up", "maximize or minimize"}},
      {R"({"asha": {"reduction": 1}})", {"reduction", ">= 2"}},
      {R"({"limits": {"trials": 2}, "seeds": 3})", {"3 trials", "limits.trials is 2"}},
      {R"({"limits": {"time": 2}})", {"limits", "time"}},
      {R"({"base": "nothing.json"})", {"nothing.json"}},
      {R"({"base": 3})", {"base"}},
      {R"({"base": {"train": {"epoch": 3}}})", {"epoch", "epochs"}},
      {R"({"set": {"train.epochs": "three"}})", {"set", "train.epochs", "three"}},
      {R"({"retries": -1})", {"retries"}},
      {R"([])", {"object"}},
      {R"({"grid": {"optimizer.lr": [1]}, "grid": {"optimizer.lr": [2]}})", {"twice"}},
  };
  for (const auto& [text, words] : cases) {
    const auto message = refusal(text);
    for (const auto& word : words) EXPECT_THAT(message, HasSubstr(word)) << text;
    EXPECT_EQ(message.find('\n'), std::string::npos) << text;
  }
  EXPECT_THAT(refusal(R"({"grid": {"optimizer.lr": [1]}})", {"optimizer.lr=2"}),
              HasSubstr("optimizer.lr is swept"));
  EXPECT_THAT(refusal("{}", {"optimizer.lrr=2"}), HasSubstr("optimizer.lrr"));
}

TEST(ShippedSweeps, AreValid) {
  const auto folder = std::filesystem::path(std::getenv("XCEPTION_SOURCE_DIR")) / "configs/sweeps";
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    SCOPED_TRACE(entry.path().string());
    EXPECT_FALSE(plan_trials(read_sweep(entry.path(), {}), "").trials.empty());
    ++files;
  }
  EXPECT_GE(files, 6);
}

}  // namespace
}  // namespace xception
