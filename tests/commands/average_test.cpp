// Averages, schedules that look at validation, early stopping, the range test: whole runs.
#include <gmock/gmock.h>

#include <csignal>

#include "commands/command_testing.h"
#include "xception/core/safetensors.h"

namespace xception {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

using AverageCommand = CommandTest;

TEST_F(AverageCommand, AnInterruptedRunIsTheSameBitForBit) {
  const std::vector<Arguments> recipes = {
      // Muon, weights in bfloat16, an average, and a rate that falls as validation says.
      {"average.name=ema", "average.decay=0.9", "average.decay_warmup=true", "optimizer.name=muon",
       "optimizer.decay_norm_and_bias=false", "optimizer.weight_decay=0.01", "train.precision=bf16",
       "schedule.name=plateau", "schedule.patience=0", "schedule.threshold=0.5",
       "model.dropout=0.3"},
      {"average.name=swa", "average.start_epoch=1", "average.batch_norm=recompute",
       "average.batch_norm_images=64", "optimizer.name=rmsprop", "optimizer.lr=0.001",
       "schedule.name=one_cycle", "model.dropout=0.3"}};
  for (std::size_t i = 0; i < recipes.size(); ++i) {
    auto recipe = recipes[i];
    recipe.emplace_back("train.epochs=3");
    const auto whole = folder / ("whole" + std::to_string(i));
    const auto parts = folder / ("parts" + std::to_string(i));
    ASSERT_TRUE(succeeds(run_xception(train_arguments(whole, recipe))));
    // Inside the second epoch, which has nine steps as the first.
    stop_and_go_on(train_arguments(parts, recipe), 11);
    expect_same_run(parts, whole);
  }
  // The first recipe's rate fell after each epoch but the first.
  const auto rows = csv_rows(folder / "whole0" / "history.csv");
  const auto rate = [&](std::size_t i) {
    return std::stod(rows[i].at("learning_rate").get<std::string>());
  };
  EXPECT_NEAR(rate(2), 0.1 * rate(0), 1e-12);
}

TEST_F(AverageCommand, BatchNormKeepsItsStatisticsFromAnEpochOn) {
  const auto tensors_after = [this](const std::string& epochs) {
    const auto run = folder / ("run" + epochs);
    EXPECT_TRUE(succeeds(
        run_xception(train_arguments(run, {"train.epochs=3", "train.freeze_batch_norm_epoch=2",
                                           "train.stop_after_epoch=" + epochs}))));
    return load_safetensors(run / "checkpoints/last/model.safetensors");
  };
  const auto first = tensors_after("1");
  // The run that stopped goes on with frozen statistics, too.
  EXPECT_TRUE(succeeds(
      run_xception(with_overrides(train_arguments(folder / "run1", {"train.epochs=3", "--resume"}),
                                  {"train.stop_after_epoch=2"}))));
  const auto resumed = load_safetensors(folder / "run1/checkpoints/last/model.safetensors");
  const auto second = tensors_after("2");
  for (const auto& [name, tensor] : first) {
    const bool kept = name.find("running_") != std::string::npos ||
                      name.find("num_batches_tracked") != std::string::npos;
    EXPECT_EQ(torch::equal(tensor, second.at(name)), kept) << name;
    EXPECT_TRUE(torch::equal(resumed.at(name), second.at(name))) << name;
  }
  EXPECT_TRUE(fails(
      run_xception(train_arguments(
          folder / "bad", {"train.epochs=3", "average.name=ema", "average.batch_norm=recompute",
                           "train.freeze_batch_norm_epoch=2"})),
      2, {"average.batch_norm", "freeze_batch_norm_epoch"}));
}

TEST_F(AverageCommand, EvalAndExportTakeTheAverages) {
  const auto run = folder / "run";
  const auto result = run_xception(
      train_arguments(run, {"train.epochs=2", "average.name=ema", "average.decay=0.5"}));
  ASSERT_TRUE(succeeds(result));
  EXPECT_THAT(result.out, HasSubstr("ema, decay 0.5, BatchNorm averaged"));
  const auto eval = run_xception({"eval", "--run", run.string(), "--device", "cpu", "--checkpoint",
                                  "last", "--split", "validation", "--json"});
  ASSERT_TRUE(succeeds(eval));
  const auto rows = csv_rows(run / "history.csv");
  EXPECT_EQ(nlohmann::json::parse(eval.out)["loss"].get<double>(),
            std::stod(rows.back().at("val_loss").get<std::string>()));
  const auto out = (folder / "out.safetensors").string();
  ASSERT_TRUE(succeeds(run_xception({"export", "--run", run.string(), "--out", out})));
  EXPECT_TRUE(succeeds(run_xception({"weights", "diff", out, run.string()})));
  const auto states = load_safetensors(run / "checkpoints/last/optimizer.safetensors");
  const auto model = load_safetensors(run / "checkpoints/last/model.safetensors");
  EXPECT_FALSE(states.at("average/trained.fc.weight").equal(model.at("fc.weight")));
}

TEST_F(AverageCommand, BeginsWithTheWeightsOfInit) {
  const auto run = folder / "run";
  ASSERT_TRUE(succeeds(run_xception(train_arguments(
      run, {"--init", complete_run().string(), "train.epochs=1", "data.train_limit=64",
            "average.name=ema", "average.decay=0.9999999"}))));
  const auto before = load_safetensors(complete_run() / "checkpoints/best/model.safetensors");
  const auto after = load_safetensors(run / "checkpoints/last/model.safetensors");
  EXPECT_TRUE(after.at("fc.weight").allclose(before.at("fc.weight"), 1e-4, 1e-6));
}

TEST_F(AverageCommand, StopsEarlyAndIsComplete) {
  const auto run = folder / "run";
  // A rate so small that nothing becomes better after the first epoch.
  const Arguments recipe = {"train.epochs=9",           "optimizer.name=sgd",
                            "optimizer.lr=1e-30",       "train.early_stop_patience=2",
                            "data.train_limit=64",      "average.name=ema",
                            "average.decay=0.999999999"};
  const auto result = run_xception(train_arguments(run, recipe));
  ASSERT_TRUE(succeeds(result));
  EXPECT_THAT(result.out, AllOf(HasSubstr("stopped early, after epoch 3 of 9"),
                                HasSubstr("test, checkpoint best")));
  const auto summary = json_of(run / "summary.json");
  EXPECT_EQ(summary["status"], "complete");
  EXPECT_TRUE(summary.value("stopped_early", false));
  EXPECT_EQ(summary["epochs"], 3);
  EXPECT_EQ(summary["best_epoch"], 1);
  auto again = recipe;
  again.emplace_back("--resume");
  EXPECT_THAT(run_xception(train_arguments(run, again)).out, HasSubstr("the run is complete (3"));
  // With more patience it goes on.
  again = with_overrides(again, {"train.early_stop_patience=3"});
  const auto more = run_xception(train_arguments(run, again));
  ASSERT_TRUE(succeeds(more));
  EXPECT_THAT(more.out, HasSubstr("stopped early, after epoch 4 of 9"));
}

TEST_F(AverageCommand, FindsALearningRate) {
  const auto out = folder / "range";
  const auto arguments =
      train_arguments(out, {"--find-lr", "--lr-steps", "40", "--lr-min", "1e-6"});
  const auto result = run_xception(arguments);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("where the loss falls fastest"), HasSubstr("a tenth of")));
  const auto rows = csv_rows(out / "find-lr.csv");
  ASSERT_GE(rows.size(), 10U);
  ASSERT_LE(rows.size(), 40U);
  EXPECT_EQ(std::stod(rows[0].at("learning_rate").get<std::string>()), 1e-6);
  const auto json = json_of(out / "find-lr.json");
  EXPECT_EQ(json["losses"].size(), rows.size());
  EXPECT_GT(json["steepest"].get<double>(), 1e-6);
  EXPECT_THAT(content_of(out / "find-lr.svg"), HasSubstr("<svg"));
  for (const auto& entry : fs::directory_iterator(out)) {
    EXPECT_THAT(entry.path().filename().string(), HasSubstr("find-lr."));
  }
  EXPECT_TRUE(fails(run_xception(arguments), 2, {"find-lr.csv"}));
  // A training may follow in the same folder.
  EXPECT_TRUE(succeeds(run_xception(train_arguments(out, {"--dry-run"}))));
  EXPECT_TRUE(fails(run_xception(train_arguments(folder / "b", {"--find-lr", "--lr-max", "1e-9"})),
                    2, {"--lr-max"}));
}

TEST_F(AverageCommand, ARangeTestThatIsStoppedSuggestsNothing) {
  const auto out = folder / "range";
  Process process(xception_command(train_arguments(
      out, {"--find-lr", "--lr-steps", "100000", "--lr-min", "1e-9", "--lr-max", "1e-8"})));
  process.wait_until([&] { return fs::exists(out); });  // just before the first step
  process.send(SIGINT);
  const auto result = process.wait();
  EXPECT_EQ(result.exit_code, 128 + SIGINT) << result.err;
  EXPECT_THAT(result.out, HasSubstr("nothing is suggested"));
  EXPECT_TRUE(fs::is_empty(out));
}

TEST_F(AverageCommand, AveragesFilesOfWeights) {
  const auto save = [&](const std::string& name, const TensorMap& tensors) {
    (void)save_safetensors(folder / name, tensors, {{"license", "free"}});
    return (folder / name).string();
  };
  const auto a = save("a", {{"w", at::full({2}, 1.0)},
                            {"h", at::full({2}, 1.0, at::kHalf)},
                            {"n", at::full({}, 3, at::kLong)}});
  const auto b = save("b", {{"w", at::full({2}, 2.0)},
                            {"h", at::full({2}, 2.0, at::kHalf)},
                            {"n", at::full({}, 5, at::kLong)}});
  const auto c = save("c", {{"w", at::full({2}, 6.0)},
                            {"h", at::full({2}, 6.0, at::kHalf)},
                            {"n", at::full({}, 9, at::kLong)}});
  const auto out = (folder / "mean.safetensors").string();
  ASSERT_TRUE(succeeds(run_xception({"weights", "average", a, b, c, "--out", out})));
  const auto mean = load_safetensors(out);
  EXPECT_TRUE(mean.at("w").equal(at::full({2}, 3.0)));
  EXPECT_TRUE(mean.at("h").equal(at::full({2}, 3.0, at::kHalf)));
  EXPECT_EQ(mean.at("n").item<std::int64_t>(), 9);
  EXPECT_TRUE(fails(run_xception({"weights", "average", a, b, "--out", out}), 2, {"--overwrite"}));
  EXPECT_TRUE(fails(run_xception({"weights", "average", a, "--out", out + "2"}), 2, {"at least"}));
  const auto other = save("d", {{"w", at::zeros({3})}});
  EXPECT_TRUE(
      fails(run_xception({"weights", "average", a, other, "--out", out + "2"}), 2, {other, "h"}));
  // Of run directories: the model stays one.
  const auto run = complete_run().string();
  ASSERT_TRUE(succeeds(run_xception({"weights", "average", run, run, "--out", out + "3"})));
  EXPECT_TRUE(succeeds(run_xception({"weights", "diff", run, out + "3"})));
}

}  // namespace
}  // namespace xception
