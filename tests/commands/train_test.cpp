// What training leaves, and what eval, predict and TensorBoard make of it.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <torch/types.h>
#include <unistd.h>

#include <csignal>
#include <deque>
#include <sstream>
#include <thread>

#include "commands/command_testing.h"
#include "xception/core/safetensors.h"

namespace xception {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;

class TrainCommandTest : public CommandTest {
 protected:
  fs::path run = folder / "run";

  static double column(const nlohmann::json& row, const std::string& name) {
    return std::stod(row.at(name).get<std::string>());
  }
};

TEST_F(TrainCommandTest, DryRunWritesNothing) {
  const auto result = run_xception(train_arguments(run, {"--dry-run"}), {.folder = folder});
  ASSERT_TRUE(succeeds(result));
  EXPECT_THAT(result.out, HasSubstr("xception (paper)"));
  EXPECT_THAT(result.out, HasSubstr("260 train, 40 validation, 60 test"));
  EXPECT_TRUE(fs::is_empty(folder));
}

TEST_F(TrainCommandTest, DryRunLeavesARunAsItIs) {
  run = copied_run();
  const auto before = snapshot(run);
  EXPECT_TRUE(succeeds(run_xception(train_arguments(run, {"--dry-run"}))));
  EXPECT_TRUE(
      succeeds(run_xception(train_arguments(run, {"--dry-run", "--resume", "train.epochs=9"}))));
  EXPECT_EQ(snapshot(run), before);
}

TEST_F(TrainCommandTest, DefaultDirectoryIsNamedAfterTheConfig) {
  write("tiny.json", R"({"train": {"epochs": 1}})");
  auto arguments = train_arguments("unused", {"--config", "tiny.json"});
  arguments.erase(arguments.begin() + 3, arguments.begin() + 5);
  ASSERT_TRUE(succeeds(run_xception(arguments, {.folder = folder})));
  ASSERT_TRUE(succeeds(run_xception(arguments, {.folder = folder})));
  EXPECT_TRUE(fs::exists(folder / "runs/tiny/summary.json"));
  EXPECT_TRUE(fs::exists(folder / "runs/tiny-2/summary.json"));
}

TEST_F(TrainCommandTest, StartsAtOnceGetDirectoriesOfTheirOwn) {
  write("tiny.json", R"({"train": {"epochs": 1}})");
  auto arguments = train_arguments("unused", {"--config", "tiny.json"});
  arguments.erase(arguments.begin() + 3, arguments.begin() + 5);
  std::deque<Process> starts;
  for (int i = 0; i < 3; ++i) {
    starts.emplace_back(xception_command(arguments), ProcessOptions{.folder = folder});
  }
  for (auto& start : starts) EXPECT_TRUE(succeeds(start.wait()));
  for (const auto* name : {"tiny", "tiny-2", "tiny-3"}) {
    EXPECT_EQ(json_of(folder / "runs" / name / "summary.json")["status"], "complete") << name;
  }
  // A start that is refused leaves nothing.
  arguments.emplace_back("model.num_classes=5");
  EXPECT_EQ(run_xception(arguments, {.folder = folder}).exit_code, 2);
  EXPECT_FALSE(fs::exists(folder / "runs/tiny-4"));
}

TEST_F(TrainCommandTest, RunDirectoryHasEveryFile) {
  for (const auto* name :
       {"config.json", "environment.json", "log.txt", "history.jsonl", "history.csv",
        "checkpoints/last/model.safetensors", "checkpoints/best/state.json", "summary.json",
        "predictions-best-test.safetensors", "predictions-last-test.safetensors"}) {
    EXPECT_TRUE(fs::exists(complete_run() / name)) << name;
  }
  const auto environment = json_of(complete_run() / "environment.json");
  EXPECT_EQ(environment["command_line"][1], "train");
  EXPECT_EQ(environment["device"], "cpu");
  EXPECT_THAT(content_of(complete_run() / "log.txt"), HasSubstr("epoch 2: train loss"));
}

TEST_F(TrainCommandTest, SummaryHasTheDocumentedNames) {
  const auto summary = json_of(complete_run() / "summary.json");
  EXPECT_THAT(
      keys_of(summary),
      IsSupersetOf({"status", "model", "parameters", "epochs", "best_epoch", "validation_accuracy",
                    "test_accuracy", "test_loss", "last_test_accuracy", "train_seconds",
                    "wall_seconds", "images_per_second", "seed", "device", "precision", "data"}));
  EXPECT_THAT(keys_of(summary["data"]),
              IsSupersetOf({"name", "checksum", "train", "validation", "test"}));
  EXPECT_EQ(summary["status"], "complete");
  EXPECT_EQ(summary["epochs"], 2);
  EXPECT_EQ(summary["data"]["train"], 260);
  EXPECT_EQ(summary["device"], "cpu");
  EXPECT_GT(summary["wall_seconds"].get<double>(), summary["train_seconds"].get<double>());
  // The best epoch is the first with the highest validation accuracy of the history.
  const auto rows = csv_rows(complete_run() / "history.csv");
  ASSERT_EQ(rows.size(), 2U);
  const std::size_t best = column(rows[1], "val_acc") > column(rows[0], "val_acc") ? 1 : 0;
  EXPECT_EQ(summary["best_epoch"], best + 1);
  EXPECT_EQ(summary["validation_accuracy"], column(rows[best], "val_acc"));
}

TEST_F(TrainCommandTest, HistoriesAgree) {
  const auto rows = csv_rows(complete_run() / "history.csv");
  std::istringstream lines(content_of(complete_run() / "history.jsonl"));
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const auto object = nlohmann::json::parse(line);
    ASSERT_LT(count, rows.size());
    for (const auto* name : {"train_loss", "train_acc", "val_loss", "val_acc", "time_per_epochs"}) {
      EXPECT_EQ(object.at(name).get<double>(), column(rows[count], name)) << name;
    }
  }
  EXPECT_EQ(count, rows.size());
}

TEST_F(TrainCommandTest, EvalAgreesWithSummaryAndPredictions) {
  const auto summary = json_of(complete_run() / "summary.json");
  for (const std::string checkpoint : {"best", "last"}) {
    const auto result = run_xception({"eval", "--run", complete_run().string(), "--device", "cpu",
                                      "--checkpoint", checkpoint, "--json"});
    ASSERT_TRUE(succeeds(result));
    const auto json = nlohmann::json::parse(result.out);
    EXPECT_THAT(keys_of(json),
                ElementsAre("accuracy", "checkpoint", "count", "data", "loss", "split"));
    EXPECT_EQ(json["data"]["of_the_run"], true);
    EXPECT_EQ(json["checkpoint"], checkpoint);
    EXPECT_EQ(json["split"], "test");
    EXPECT_EQ(json["count"], 60);
    EXPECT_EQ(json["accuracy"],
              summary[checkpoint == "best" ? "test_accuracy" : "last_test_accuracy"]);
    if (checkpoint == "best") {
      EXPECT_EQ(json["loss"], summary["test_loss"]);
    }

    const auto tensors =
        load_safetensors(complete_run() / ("predictions-" + checkpoint + "-test.safetensors"));
    const auto& labels = tensors.at("label");
    const auto& probabilities = tensors.at("probabilities");
    ASSERT_EQ(probabilities.sizes(), (torch::IntArrayRef{60, 10}));
    EXPECT_TRUE(tensors.at("index").equal(torch::arange(60, torch::kInt64)));
    EXPECT_TRUE(probabilities.sum(1).allclose(torch::ones({60})));
    const auto right = probabilities.argmax(1).eq(labels).sum().item<std::int64_t>();
    EXPECT_DOUBLE_EQ(static_cast<double>(right) / 60.0, json["accuracy"].get<double>());
    const auto loss =
        -probabilities.to(torch::kFloat64).gather(1, labels.unsqueeze(1)).log().mean();
    EXPECT_NEAR(loss.item<double>(), json["loss"].get<double>(), 1e-5);
  }
}

TEST_F(TrainCommandTest, EvalOfTheValidationSplitAgreesWithHistory) {
  run = copied_run();
  const auto result =
      run_xception({"eval", "--run", run.string(), "--device", "cpu", "--checkpoint", "last",
                    "--split", "validation", "--json", "--predictions"});
  ASSERT_TRUE(succeeds(result));
  const auto json = nlohmann::json::parse(result.out);
  const auto rows = csv_rows(complete_run() / "history.csv");
  EXPECT_EQ(json["count"], 40);
  EXPECT_EQ(json["accuracy"], column(rows.back(), "val_acc"));
  EXPECT_EQ(json["loss"], column(rows.back(), "val_loss"));
  const auto tensors = load_safetensors(run / "predictions-last-validation.safetensors");
  EXPECT_EQ(tensors.at("label").size(0), 40);
}

TEST_F(TrainCommandTest, PredictHasTheDocumentedNames) {
  const auto image = (folder / "image.png").string();
  ASSERT_TRUE(
      succeeds(run_xception({"data", "preview", "--data", small_data().string(), "--out", image,
                             "--count", "1", "data.image_size=90", "data.validation_size=40"})));
  const auto result = run_xception({"predict", "--run", complete_run().string(), image, image,
                                    "--device", "cpu", "--top-k", "10", "--json"});
  ASSERT_TRUE(succeeds(result));
  const auto json = nlohmann::json::parse(result.out);
  ASSERT_EQ(json.size(), 2U);
  EXPECT_THAT(keys_of(json[0]), ElementsAre("image", "top"));
  EXPECT_EQ(json[0]["image"], image);
  ASSERT_EQ(json[0]["top"].size(), 10U);
  const auto classes = json_of(complete_run() / "summary.json")["data"]["classes"];
  double sum = 0.0;
  double previous = 1.0;
  for (const auto& item : json[0]["top"]) {
    EXPECT_THAT(keys_of(item), ElementsAre("class", "label", "probability"));
    EXPECT_EQ(item["label"], classes[item["class"].get<std::size_t>()]);
    EXPECT_LE(item["probability"].get<double>(), previous);
    previous = item["probability"].get<double>();
    sum += previous;
  }
  EXPECT_NEAR(sum, 1.0, 1e-5);
  EXPECT_EQ(json[0]["top"], json[1]["top"]);
  const auto text =
      run_xception({"predict", "--run", complete_run().string(), image, "--device", "cpu"});
  ASSERT_TRUE(succeeds(text));
  EXPECT_THAT(text.out, HasSubstr("image.png: " + json[0]["top"][0]["label"].get<std::string>()));
}

TEST_F(TrainCommandTest, TensorBoardReadsHyperParametersAndImages) {
  const auto all = read_events(complete_run(), /*all=*/true);
  EXPECT_EQ(all.at("hparams").at("model.name"), "xception");
  EXPECT_EQ(all.at("hparams").at("optimizer.lr"), 0.001);
  EXPECT_EQ(all.at("hparams").at("model.residual"), true);
  EXPECT_EQ(all.at("hparams").at("seed"), 0.0);
  EXPECT_THAT(all.at("hparams").at("augment.train"), HasSubstr("random_resized_crop"));
  EXPECT_EQ(all.at("images").at("images/train"), (std::vector<int>{294, 294}));  // 4 x 4 of 71 px
  EXPECT_EQ(all.at("status"), 1);
}

TEST_F(TrainCommandTest, TensorBoardReadsTheSameValues) {
  const auto scalars = read_events(complete_run());
  EXPECT_THAT(keys_of(scalars),
              ElementsAre("accuracy/train", "accuracy/validation", "images_per_second",
                          "learning_rate", "loss/step", "loss/train", "loss/validation"));
  EXPECT_EQ(scalars["loss/step"].size(), 16U);  // each step but the epochs' last ones
  const auto rows = csv_rows(complete_run() / "history.csv");
  for (const auto& [tag, name] : std::vector<std::pair<std::string, std::string>>{
           {"loss/train", "train_loss"},
           {"loss/validation", "val_loss"},
           {"accuracy/train", "train_acc"},
           {"accuracy/validation", "val_acc"},
           {"learning_rate", "learning_rate"},
           {"images_per_second", "images_per_second"}}) {
    ASSERT_EQ(scalars[tag].size(), rows.size()) << tag;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(scalars[tag][i][0].get<std::size_t>(), i + 1) << tag;
      EXPECT_FLOAT_EQ(scalars[tag][i][1].get<float>(), static_cast<float>(column(rows[i], name)))
          << tag;
    }
  }
}

TEST_F(TrainCommandTest, LossThatIsNotFinite) {
  const auto result = run_xception(train_arguments(run, {"optimizer.lr=1e30", "train.epochs=2"}));
  EXPECT_TRUE(fails(result, 1,
                    {"not finite at step 2 (epoch 1)", "learning rate 1e+30", "lower optimizer.lr",
                     "optimizer.clip_norm", "fp32"}));
  EXPECT_EQ(json_of(run / "summary.json")["status"], "failed");
  EXPECT_FALSE(fs::exists(run / "checkpoints/last"));
}

TEST_F(TrainCommandTest, LossThatIsNotFiniteLeavesTheLastCheckpoint) {
  // The first epoch has a small rate and ends well; the second is made to have a huge one.
  const auto result = run_xception(train_arguments(run, {"optimizer.name=sgd", "train.epochs=1"}));
  ASSERT_TRUE(succeeds(result));
  const auto before = snapshot(run / "checkpoints");
  auto config = json_of(run / "config.json");
  config["optimizer"]["lr"] = 1e30;
  write("run/config.json", config.dump());
  EXPECT_TRUE(fails(run_xception(train_arguments(run, {"--resume", "train.epochs=2"})), 1,
                    {"not finite", "(epoch 2)", "the last checkpoint is intact"}));
  EXPECT_EQ(snapshot(run / "checkpoints"), before);
  EXPECT_EQ(csv_rows(run / "history.csv").size(), 1U);
  EXPECT_TRUE(succeeds(run_xception({"eval", "--run", run.string(), "--device", "cpu"})));
}

TEST_F(TrainCommandTest, WeightsThatAreNotFiniteAreNotSaved) {
  // The epoch's only loss is finite; the update after it is not.
  const auto result =
      run_xception(train_arguments(run, {"optimizer.lr=1e38", "optimizer.weight_decay=10",
                                         "train.epochs=1", "data.train_limit=32"}));
  EXPECT_TRUE(fails(result, 1, {"weights are not finite after step 1", "nothing was saved yet"}));
  EXPECT_FALSE(fs::exists(run / "checkpoints/last"));
  EXPECT_EQ(json_of(run / "summary.json")["status"], "failed");
}

TEST_F(TrainCommandTest, NoticesOfWhatMayNotBeMeant) {
  const auto result = run_xception(
      train_arguments(run, {"--dry-run", "data.train_limit=16", "optimizer.momentum=0.5",
                            "schedule.gamma=0.5", "train.checkpoint_interval=1000"}));
  ASSERT_TRUE(succeeds(result));
  EXPECT_THAT(result.out, HasSubstr("train.batch_size 32 is more than the 16 training images"));
  EXPECT_THAT(result.out, HasSubstr("optimizer.momentum is 0.5, but optimizer.name adam doesn't"));
  EXPECT_THAT(result.out, HasSubstr("schedule.gamma is 0.5, but schedule.name constant doesn't"));
  EXPECT_THAT(result.out, HasSubstr("train.checkpoint_interval 1000 is more than the 10 steps"));
}

TEST_F(TrainCommandTest, SuspendedTimeIsNoTrainingTime) {
  Process process(xception_command(train_arguments(run, {"train.epochs=2"})));
  ASSERT_TRUE(process.wait_for(" left  "));  // inside the first epoch
  process.send(SIGSTOP);
  std::this_thread::sleep_for(std::chrono::seconds(3));
  process.send(SIGCONT);
  const auto result = process.wait();
  ASSERT_TRUE(succeeds(result));
  EXPECT_THAT(result.out, HasSubstr("was suspended for "));
  const auto summary = json_of(run / "summary.json");
  const auto suspended = summary["suspended_seconds"].get<double>();
  EXPECT_GT(suspended, 0);
  EXPECT_LE(summary["train_seconds"].get<double>() + suspended,
            summary["wall_seconds"].get<double>());
}

TEST_F(TrainCommandTest, WithoutValidationImages) {
  ASSERT_TRUE(succeeds(run_xception(
      train_arguments(run, {"data.validation_size=0", "data.train_limit=64", "train.epochs=2"}))));
  const auto rows = csv_rows(run / "history.csv");
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0]["val_acc"], "");
  const auto summary = json_of(run / "summary.json");
  EXPECT_EQ(summary["best_epoch"], 2);
  EXPECT_TRUE(summary["validation_accuracy"].is_null());
}

class PrecisionTest : public TrainCommandTest, public testing::WithParamInterface<const char*> {};

TEST_P(PrecisionTest, LossFalls) {
  const auto result =
      run_xception(train_arguments(run, {std::string("train.precision=") + GetParam(),
                                         "data.train_limit=96", "train.epochs=3"}));
  ASSERT_TRUE(succeeds(result));
  const auto rows = csv_rows(run / "history.csv");
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_LT(column(rows[2], "train_loss"), column(rows[0], "train_loss") - 0.05);
  EXPECT_EQ(json_of(run / "summary.json")["precision"], GetParam());
}

INSTANTIATE_TEST_SUITE_P(Precisions, PrecisionTest, testing::Values("fp32", "bf16", "fp16", "fp64"),
                         [](const auto& item) { return std::string(item.param); });

TEST_F(TrainCommandTest, PartsOfABatchAndClippedGradients) {
  ASSERT_TRUE(
      succeeds(run_xception(train_arguments(run, {"train.accumulate=2", "optimizer.clip_norm=0.5",
                                                  "data.train_limit=96", "train.epochs=3"}))));
  const auto rows = csv_rows(run / "history.csv");
  EXPECT_LT(column(rows[2], "train_loss"), column(rows[0], "train_loss"));
  EXPECT_EQ(rows[2]["step"], "9");
}

TEST_F(TrainCommandTest, ReaderOfStandardOutputGoesAway) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  Process process(xception_command(train_arguments(run, {"train.epochs=1"})),
                  {.out_descriptor = ends[1]});
  ::close(ends[1]);
  char byte = 0;
  while (::read(ends[0], &byte, 1) == 1 && byte != '\n') {
  }
  ::close(ends[0]);  // as `| head -1`
  EXPECT_TRUE(fails(process.wait(), 1, {"standard output"}));
  EXPECT_EQ(json_of(run / "summary.json")["status"], "complete");
  EXPECT_THAT(content_of(run / "log.txt"), HasSubstr("epoch 1: train loss"));
}

TEST_F(TrainCommandTest, StandardOutputAndErrorAreClosed) {
  std::string command = "exec \"$0\" \"$@\" >&- 2>&-";
  Arguments arguments = {"/bin/sh", "-c", command};
  const auto program = xception_command(train_arguments(run, {"train.epochs=1"}));
  arguments.insert(arguments.end(), program.begin(), program.end());
  EXPECT_TRUE(succeeds(Process(arguments).wait()));
  EXPECT_EQ(json_of(run / "summary.json")["status"], "complete");
  EXPECT_EQ(content_of(run / ".lock"), "");  // the first file that stays open
}

}  // namespace
}  // namespace xception
