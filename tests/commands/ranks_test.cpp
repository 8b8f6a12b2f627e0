// Several processes that train together, as a user starts them: by --ranks, by torchrun.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <chrono>
#include <csignal>
#include <random>
#include <thread>

#include "commands/command_testing.h"
#include "parallel/ranks_testing.h"

namespace xception {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

/// Three epochs of eleven steps of 24 images, the last of 20; 1, 2, 3 and 4 ranks divide it.
class RanksTest : public CommandTest {
 protected:
  static Arguments arguments(const fs::path& out, const Arguments& more) {
    auto result = train_arguments(out, {"train.epochs=3", "train.batch_size=24"});
    return with_overrides(std::move(result), more);
  }

  /// In float64 with statistics over all ranks, so that ranks change only the last bits.
  static Arguments exact(const fs::path& out, const Arguments& more = {}) {
    auto result = arguments(out, {"train.precision=fp64", "parallel.batch_norm=sync"});
    return with_overrides(std::move(result), more);
  }

  static void expect_same_curve(const fs::path& run, const fs::path& expected_run) {
    const auto rows = csv_rows(run / "history.csv");
    const auto expected = csv_rows(expected_run / "history.csv");
    ASSERT_EQ(rows.size(), expected.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      for (const auto* name : {"epoch", "step", "train_loss", "train_acc", "val_loss", "val_acc"}) {
        const auto value = std::stod(rows[i].at(name).get<std::string>());
        const auto wanted = std::stod(expected[i].at(name).get<std::string>());
        EXPECT_NEAR(value, wanted, 1e-6 * std::abs(wanted)) << name << " of epoch " << i + 1;
      }
    }
  }

  static void expect_same_weights(const fs::path& run, const fs::path& expected) {
    expect_same_files(
        run, expected,
        {"checkpoints/last/model.safetensors", "checkpoints/last/optimizer.safetensors",
         "predictions-best-test.safetensors"});
  }

  /// Waits until so many ranks run and so many lines of progress are out; returns the ranks.
  static std::vector<pid_t> ranks_of(Process& process, std::size_t count, int lines) {
    std::vector<pid_t> ranks;
    process.wait_until([&] {
      ranks = children_of(process.id());
      return ranks.size() == count && progress_lines(process.output()) >= lines;
    });
    EXPECT_EQ(ranks.size(), count) << process.output();
    return ranks;
  }

  static void expect_gone(const std::vector<pid_t>& ranks) {
    for (const auto rank : ranks) EXPECT_FALSE(is_running(rank)) << rank;
  }

  int random(int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(generator_);
  }

  fs::path run = folder / "run";
  fs::path other = folder / "other";

 private:
  std::mt19937 generator_{std::random_device{}()};
};

TEST_F(RanksTest, SeeTheBatchesOfOneProcess) {
  ASSERT_TRUE(succeeds(run_xception(exact(other))));
  for (const auto* count : {"2", "4"}) {
    const auto out = folder / count;
    const auto result = run_xception(exact(out, {"--ranks", count}));
    EXPECT_TRUE(succeeds(result));
    EXPECT_EQ(count_of(result.out, "epoch 1: train loss"), 1);  // one rank speaks
    EXPECT_EQ(count_of(result.out, "images each, BatchNorm sync"), 1);
    expect_same_curve(out, other);
    const auto summary = json_of(out / "summary.json");
    EXPECT_EQ(std::to_string(summary["ranks"].get<int>()), count);
    EXPECT_EQ(summary["test_accuracy"], json_of(other / "summary.json")["test_accuracy"]);
    EXPECT_GT(summary["reduction"]["bytes_per_step"], 0);
    EXPECT_EQ(json_of(out / "environment.json")["ranks"].size(),
              summary["ranks"].get<std::size_t>());
  }
}

TEST_F(RanksTest, BatchSizePerDeviceIsAnotherWayToSayIt) {
  const auto result = run_xception(
      arguments(run, {"--ranks", "2", "train.batch_size_per_device=12", "train.epochs=1"}));
  EXPECT_TRUE(succeeds(result));
  EXPECT_EQ(json_of(run / "config.json")["train"]["batch_size"], 24);
  EXPECT_EQ(json_of(run / "config.json")["train"]["batch_size_per_device"], 0);
}

TEST_F(RanksTest, GoOnWithAnotherNumberOfRanks) {
  ASSERT_TRUE(succeeds(run_xception(exact(other))));
  // An epoch each with 2, 1 and 3 ranks; the second one leaves in the middle.
  EXPECT_TRUE(succeeds(run_xception(exact(run, {"--ranks", "2", "train.epochs=1"}))));
  {
    Process process(xception_command(exact(run, {"--resume"})));
    process.wait_for("epoch 2/3  step 4/11");
    process.send(SIGTERM);
    const auto result = process.wait();
    EXPECT_EQ(result.exit_code, 143) << result.err;
    EXPECT_THAT(result.out, HasSubstr("resume: world_size is 1, was 2"));
  }
  const auto result = run_xception(exact(run, {"--ranks", "3", "--resume"}));
  EXPECT_TRUE(succeeds(result));
  EXPECT_THAT(result.out, HasSubstr("resume: world_size is 3, was 1"));
  EXPECT_THAT(result.out, HasSubstr("resume: from epoch 2 of 3, step "));
  expect_same_curve(run, other);
}

TEST_F(RanksTest, ASignalToAnyRankSavesAndStopsAll) {
  const Arguments more = {"--ranks", "2", "model.dropout=0.3", "--resume"};
  ASSERT_TRUE(succeeds(run_xception(arguments(other, more))));
  for (const int rank : {1, 0}) {
    Process process(xception_command(arguments(run, more)));
    const auto ranks = ranks_of(process, 2, random(2, 6));
    ::kill(ranks.at(static_cast<std::size_t>(rank)), SIGTERM);
    const auto result = process.wait();
    EXPECT_EQ(result.exit_code, 143) << result.err;
    EXPECT_EQ(result.err, "");
    EXPECT_THAT(result.out, HasSubstr("stopped by signal 15; saved"));
    expect_gone(ranks);
  }
  for (const int number : {SIGINT, SIGHUP, SIGUSR2}) {
    Process process(xception_command(arguments(run, more)));
    const auto ranks = ranks_of(process, 2, 2);
    process.send(SIGUSR1);  // to the launcher
    EXPECT_TRUE(process.wait_for("saved, as SIGUSR1 asked"));
    process.send(number);
    EXPECT_EQ(process.wait().exit_code, 128 + number);
    expect_gone(ranks);
  }
  EXPECT_TRUE(succeeds(run_xception(arguments(run, more))));
  expect_same_weights(run, other);
}

TEST_F(RanksTest, AKilledRankEndsTheJob) {
  const Arguments more = {"--ranks", "3", "train.checkpoint_interval=3", "--resume"};
  ASSERT_TRUE(succeeds(run_xception(arguments(other, more))));
  for (const std::size_t rank : {0U, 1U, 2U}) {
    Process process(xception_command(arguments(run, more)));
    const auto ranks = ranks_of(process, 3, random(3, 8));
    ::kill(ranks.at(rank), SIGKILL);
    const auto result = process.wait();
    EXPECT_TRUE(fails(result, 1, {fmt::format("rank {} of 3 was killed by signal 9", rank)}));
    expect_gone(ranks);
  }
  EXPECT_TRUE(succeeds(run_xception(arguments(run, more))));
  expect_same_weights(run, other);
}

TEST_F(RanksTest, AHangingRankEndsTheJob) {
  Process process(xception_command(
      arguments(run, {"--ranks", "2", "train.epochs=1000", "parallel.heartbeat=3"})));
  const auto ranks = ranks_of(process, 2, 2);
  ::kill(ranks.at(1), SIGSTOP);
  const auto result = process.wait();
  EXPECT_TRUE(fails(result, 1, {"no sign of life for 3 s", "rank 1"}));
  expect_gone(ranks);
}

TEST_F(RanksTest, AKilledLauncherLeavesNobodyBehind) {
  Process process(xception_command(arguments(run, {"--ranks", "2", "train.epochs=1000"})));
  const auto ranks = ranks_of(process, 2, 2);
  process.send(SIGKILL);
  EXPECT_EQ(process.wait().signal, SIGKILL);
  for (int i = 0; i < 300 && (is_running(ranks.at(0)) || is_running(ranks.at(1))); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  expect_gone(ranks);
  EXPECT_EQ(json_of(run / "summary.json")["status"], "interrupted");  // they saved
}

TEST_F(RanksTest, ARankThatFailsSaysWhyAndEndsTheJob) {
  // The limit on a file's size is the ranks' too, and rank 0 is the one that writes.
  const auto result = run_xception(arguments(run, {"--ranks", "2"}), {.file_bytes = 300'000});
  EXPECT_TRUE(fails(result, 1, {"checkpoint of step 11 was not saved", "rank 0"}));
}

TEST_F(RanksTest, BadInputIsOneLine) {
  const auto with = [&](const Arguments& more) { return run_xception(arguments(run, more)); };
  EXPECT_TRUE(
      fails(with({"--ranks", "5"}), 2, {"train.batch_size: found 24 for 5 ranks", "20 or 25"}));
  EXPECT_TRUE(fails(with({"--ranks", "2", "train.batch_size_per_device=10"}), 2,
                    {"train.batch_size_per_device: found 10 for 2 ranks", "24"}));
  EXPECT_TRUE(
      fails(run_xception({"train", "--data", "/nowhere", "--ranks", "2", "--device", "cpu"}), 2,
            {"/nowhere"}));
  EXPECT_TRUE(fails(with({"--ranks", "2", "model.nam=x"}), 2, {"model.nam", "name"}));
  EXPECT_TRUE(fails(with({"--ranks", "2", "parallel.batch_norm=all"}), 2, {"rank0", "sync"}));
  EXPECT_TRUE(fails(with({"--ranks", "0x"}), 2, {"--ranks"}));
  EXPECT_FALSE(fs::exists(run / "config.json"));
  Arguments list = arguments(run, {});
  for (auto& argument : list) {
    if (argument == "cpu") argument = "cuda:0,cuda:0";
  }
  EXPECT_TRUE(fails(run_xception(list), 2, {"names cuda:0 twice"}));
  // A run that is there is noticed by rank 0, and told once.
  EXPECT_TRUE(fails(run_xception(train_arguments(complete_run(), {"--ranks", "2"})), 2,
                    {"already holds a run"}));
}

TEST_F(RanksTest, ADryRunShowsThem) {
  const auto result = run_xception(arguments(run, {"--ranks", "2", "--dry-run"}));
  EXPECT_TRUE(succeeds(result));
  EXPECT_THAT(result.out, HasSubstr("2, 12 images each, BatchNorm rank0"));
  EXPECT_FALSE(fs::exists(run));
}

TEST_F(RanksTest, MachinesWithOtherDataAreRefused) {
  const auto port = std::to_string(free_port());
  const auto start = [&](const std::string& rank, const fs::path& data) {
    ProcessOptions options;
    options.environment = {{"RANK", rank},        {"WORLD_SIZE", "2"},
                           {"LOCAL_RANK", rank},  {"LOCAL_WORLD_SIZE", "2"},
                           {"MASTER_PORT", port}, {"MASTER_ADDR", "127.0.0.1"}};
    return std::make_unique<Process>(
        xception_command({"train", "--data", data.string(), "--device", "cpu", "--out",
                          run.string(), "model.width=0.125", "data.validation_size=40"}),
        options);
  };
  const auto altered = copied_data();
  flip_bit(altered / "cifar-10-batches-bin" / "test_batch.bin");
  const auto root = start("0", small_data());
  const auto second = start("1", altered);
  EXPECT_TRUE(fails(root->wait(), 2, {"rank 1", "data with checksum", "rank 0"}));
  EXPECT_TRUE(fails(second->wait(), 2, {"rank 1", "data with checksum"}));
  EXPECT_FALSE(fs::exists(run / "config.json"));
}

TEST_F(RanksTest, TorchrunStartsThem) {
  Arguments command = {environment_variable("XCEPTION_TEST_PYTHON"),
                       "-m",
                       "torch.distributed.run",
                       "--nproc-per-node",
                       "2",
                       "--standalone",
                       "--no-python"};
  const auto program = xception_command(exact(run));
  command.insert(command.end(), program.begin(), program.end());
  const auto result = Process(command).wait();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(count_of(result.out, "epoch 1: train loss"), 1);
  EXPECT_EQ(json_of(run / "environment.json")["launcher"], "torchrun");
  ASSERT_TRUE(succeeds(run_xception(exact(other))));
  expect_same_curve(run, other);
  // The same line says what is wrong, with the exit code of the ranks.
  const auto again = Process(command).wait();
  EXPECT_NE(again.exit_code, 0);
  EXPECT_THAT(again.err, HasSubstr("already holds a run"));
  EXPECT_THAT(again.err, HasSubstr("exitcode  : 2"));
}

}  // namespace
}  // namespace xception
