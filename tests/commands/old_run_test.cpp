// A run directory that an older program made (tests/train/old_run): every later program evaluates
// it, reports it and goes on with it. What fails here, fails for whoever has old runs: names of
// files, config keys, JSON fields and tensors must stay readable forever. Mend the program, never
// the folder.
#include <gmock/gmock.h>

#include "commands/command_testing.h"
#include "xception/data/cifar10.h"
#include "xception/data/synthetic.h"

namespace xception {
namespace {

namespace fs = std::filesystem;

/// Losses on another processor.
constexpr double kNear = 1e-3;

class OldRun : public CommandTest {
 protected:
  OldRun() {
    fs::copy(fs::path(environment_variable("XCEPTION_SOURCE_DIR")) / "tests/train/old_run", run,
             fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    write_cifar10(data, synthesize_cifar10(/*seed=*/0, 16, 10));
  }

  const fs::path run = folder / "run";
  const fs::path data = folder / "data";
};

TEST_F(OldRun, IsEvaluated) {
  const auto summary = json_of(run / "summary.json");
  for (const std::string checkpoint : {"best", "last"}) {
    const auto result = run_xception({"eval", "--run", run.string(), "--data", data.string(),
                                      "--checkpoint", checkpoint, "--device", "cpu", "--json"});
    ASSERT_TRUE(succeeds(result));
    const auto json = nlohmann::json::parse(result.out);
    EXPECT_EQ(json.at("count"), 10);
    EXPECT_NEAR(json.at("loss").get<double>(), summary.at("test_loss").get<double>(), kNear);
    EXPECT_EQ(json.at("accuracy"), summary.at("test_accuracy"));
    EXPECT_TRUE(json.at("data").at("of_the_run").get<bool>());
  }
}

TEST_F(OldRun, IsReported) {
  const auto out = folder / "out";
  ASSERT_TRUE(succeeds(run_xception(
      {"report", run.string(), "--data", data.string(), "--out", out.string(), "--no-figures"})));
  const auto variants = json_of(out / "report.json").at("variants");
  ASSERT_EQ(variants.size(), 1U);
  const auto summary = json_of(run / "summary.json");
  EXPECT_EQ(variants[0].at("test_accuracy").at("values")[0], summary.at("test_accuracy"));
  EXPECT_EQ(variants[0].at("parameters"), summary.at("parameters"));
  EXPECT_EQ(variants[0].at("seeds"), std::vector<int>{0});
}

TEST_F(OldRun, GoesOn) {
  const auto before = csv_rows(run / "history.csv");
  ASSERT_TRUE(succeeds(run_xception({"train", "--resume", "--data", data.string(), "--out",
                                     run.string(), "--device", "cpu", "train.epochs=2"})));
  const auto summary = json_of(run / "summary.json");
  EXPECT_EQ(summary.at("status"), "complete");
  EXPECT_EQ(summary.at("epochs"), 2);
  EXPECT_EQ(summary.at("parameters"), 2434);
  const auto rows = csv_rows(run / "history.csv");
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0], before.at(0));
  EXPECT_EQ(rows[1].at("step"), "2");
  // What the program of that time had, going on: weights, momentum, order and augmentation are
  // those that were left.
  EXPECT_NEAR(std::stod(rows[1].at("train_loss").get<std::string>()), 2.372551, kNear);
  EXPECT_NEAR(std::stod(rows[1].at("val_loss").get<std::string>()), 2.239561, kNear);
}

}  // namespace
}  // namespace xception
