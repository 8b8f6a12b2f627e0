// Stopped, killed and resumed runs end as if nothing had been.
#include <gmock/gmock.h>

#include <chrono>
#include <csignal>
#include <random>
#include <thread>

#include "commands/command_testing.h"

namespace xception {
namespace {

namespace fs = std::filesystem;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

/// Three epochs of nine steps, the last of 4 images, with augmentation, dropout and, because of
/// bfloat16, shadow weights.
class ResumeTest : public CommandTest {
 protected:
  static constexpr int kLinesAnEpoch = 8;  // of progress: one a step but the last

  static Arguments arguments(const fs::path& out, const Arguments& more = {}) {
    auto result =
        train_arguments(out, {"train.epochs=3", "model.dropout=0.3", "train.precision=bf16"});
    return with_overrides(std::move(result), more);
  }

  /// The undisturbed run, made once a process and removed with the run that all tests share.
  static const fs::path& reference() {
    static const fs::path out = [] {
      auto folder = complete_run().parent_path() / "reference";
      EXPECT_TRUE(succeeds(run_xception(arguments(folder))));
      return folder;
    }();
    return out;
  }

  /// Starts or goes on, and sends `signal` after so many lines of progress.
  ProcessResult stop(int signal, int lines) const {
    Process process(xception_command(arguments(run, {"--resume"})));
    process.wait_until([&] { return progress_lines(process.output()) >= lines; });
    process.send(signal);
    return process.wait();
  }

  int random(int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(generator_);
  }

  /// Stops the run three times somewhere in its epochs, then lets it end.
  void stop_thrice(int signal) {
    for (int i = 0; i < 3; ++i) {
      const int lines = random(1, 5);  // so few that three times don't reach the end
      SCOPED_TRACE("after lines: " + std::to_string(lines));
      const auto result = stop(signal, lines);
      EXPECT_EQ(result.exit_code, 128 + signal) << result.err;
      EXPECT_EQ(result.signal, 0);  // it saved and left by itself
      EXPECT_EQ(result.err, "");
      EXPECT_THAT(result.out, HasSubstr("--resume"));
      EXPECT_EQ(json_of(run / "summary.json")["status"], "interrupted");
    }
    EXPECT_TRUE(succeeds(run_xception(arguments(run, {"--resume"}))));
    expect_same_as_reference();
  }

  void expect_same_as_reference() const {
    expect_same_files(
        run, reference(),
        {"checkpoints/last/model.safetensors", "checkpoints/last/optimizer.safetensors",
         "checkpoints/best/model.safetensors", "checkpoints/best/optimizer.safetensors",
         "predictions-best-test.safetensors", "predictions-last-test.safetensors"});
    const auto rows = csv_rows(run / "history.csv");
    const auto expected = csv_rows(reference() / "history.csv");
    ASSERT_EQ(rows.size(), expected.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      for (const auto* name :
           {"epoch", "step", "train_loss", "train_acc", "val_loss", "val_acc", "learning_rate"}) {
        EXPECT_EQ(rows[i].at(name), expected[i].at(name)) << name << " of epoch " << i + 1;
      }
    }
    auto summary = json_of(run / "summary.json");
    auto whole = json_of(reference() / "summary.json");
    for (const auto* name : {"train_seconds", "wall_seconds", "images_per_second"}) {
      summary.erase(name);
      whole.erase(name);
    }
    EXPECT_EQ(summary, whole);
  }

  fs::path run = folder / "run";

 private:
  std::mt19937 generator_{std::random_device{}()};
};

TEST_F(ResumeTest, StoppedBySigterm) {
  stop_thrice(SIGTERM);
}

TEST_F(ResumeTest, StoppedBySigint) {
  stop_thrice(SIGINT);
}

TEST_F(ResumeTest, StoppedBySighup) {
  stop_thrice(SIGHUP);
}

TEST_F(ResumeTest, StoppedBySigusr2) {
  stop_thrice(SIGUSR2);
}

TEST_F(ResumeTest, NohupIsLeftToTheUser) {
  auto command = Arguments{"/bin/sh", "-c", "trap '' HUP; exec \"$0\" \"$@\""};
  const auto train = xception_command(arguments(run));
  command.insert(command.end(), train.begin(), train.end());
  Process process(command);
  process.wait_until([&] { return progress_lines(process.output()) >= 3; });
  process.send(SIGHUP);
  EXPECT_EQ(process.wait().exit_code, 0);
  expect_same_as_reference();
}

TEST_F(ResumeTest, SavesAndGoesOnAtSigusr1) {
  {
    Process process(xception_command(arguments(run)));
    process.wait_for("  run ");  // the table at the start
    process.send(SIGUSR1);       // there may be nothing to save yet, and no harm is done
    process.wait_until([&] { return progress_lines(process.output()) >= random(2, 6); });
    process.send(SIGUSR1);
    EXPECT_TRUE(process.wait_for("saved, as SIGUSR1 asked: after step "));
    process.send(SIGKILL);
    (void)process.wait();
  }
  const auto rest = run_xception(arguments(run, {"--resume"}));
  EXPECT_TRUE(succeeds(rest));
  EXPECT_THAT(rest.out, testing::Not(HasSubstr("no checkpoint was saved")));
  expect_same_as_reference();
}

TEST_F(ResumeTest, StoppedBetweenLastStepAndEnd) {
  // Around validation, the end of an epoch, and the test after the last one.
  for (const int lines : {kLinesAnEpoch, kLinesAnEpoch, 2 * kLinesAnEpoch}) {
    const auto result = stop(SIGTERM, lines);
    EXPECT_THAT(result.exit_code, AnyOf(0, 128 + SIGTERM)) << result.err;
    const auto status = json_of(run / "summary.json")["status"];
    EXPECT_EQ(status, result.exit_code == 0 ? "complete" : "interrupted");
  }
  EXPECT_TRUE(succeeds(run_xception(arguments(run, {"--resume"}))));
  expect_same_as_reference();
}

TEST_F(ResumeTest, KilledAtRandomMoments) {
  // A checkpoint a step, so that many kills meet one that is being written.
  const auto going_on = arguments(run, {"--resume", "train.checkpoint_interval=1"});
  for (int i = 0; i < 6; ++i) {
    Process process(xception_command(going_on));
    process.wait_for("  seed ");
    const int delay = random(0, 600);
    SCOPED_TRACE("after ms: " + std::to_string(delay));
    std::this_thread::sleep_for(std::chrono::milliseconds(delay));
    process.send(SIGKILL);
    process.wait();
    if (!fs::exists(fs::symlink_status(run / "checkpoints/last"))) continue;
    EXPECT_TRUE(succeeds(
        run_xception({"eval", "--run", run.string(), "--device", "cpu", "--checkpoint", "last"})));
  }
  EXPECT_TRUE(succeeds(run_xception(going_on)));
  expect_same_as_reference();
  // No checkpoint of a killed process is left.
  for (const auto& entry : fs::directory_iterator(run / "checkpoints")) {
    if (entry.is_symlink()) continue;
    const auto name = entry.path().filename();
    EXPECT_TRUE(name == fs::read_symlink(run / "checkpoints/last") ||
                name == fs::read_symlink(run / "checkpoints/best"))
        << name;
  }
}

TEST_F(ResumeTest, NothingToResume) {
  const auto result = run_xception(train_arguments(run, {"--resume", "train.epochs=1"}));
  EXPECT_TRUE(succeeds(result));
  EXPECT_THAT(result.out, HasSubstr("starting from the beginning"));
  EXPECT_EQ(json_of(run / "summary.json")["status"], "complete");
}

TEST_F(ResumeTest, NothingSavedTakesTheNewConfig) {
  // The first attempt fails before it saved anything; what it was asked for binds nobody.
  ASSERT_EQ(run_xception(train_arguments(run, {"optimizer.lr=1e38"})).exit_code, 1);
  const auto result =
      run_xception(train_arguments(run, {"--resume", "optimizer.lr=0.001", "train.epochs=1"}));
  EXPECT_TRUE(succeeds(result));
  EXPECT_EQ(json_of(run / "config.json")["optimizer"]["lr"], 0.001);
}

TEST_F(ResumeTest, FewerEpochsThanBegunAreRefused) {
  Process process(xception_command(arguments(run, {"train.epochs=2"})));
  while (!process.ended() && !fs::exists(run / "checkpoints/last")) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  process.send(SIGTERM);
  ASSERT_EQ(process.wait().exit_code, 128 + SIGTERM);
  const auto state = json_of(run / "checkpoints/last/state.json");
  if (state["step_in_epoch"].get<int>() > 0) {
    EXPECT_TRUE(fails(run_xception(arguments(run, {"--resume", "train.epochs=1"})), 2,
                      {"train.epochs: found 1", "inside epoch 2"}));
  }
  EXPECT_TRUE(succeeds(run_xception(arguments(run, {"--resume", "train.epochs=2"}))));
}

TEST_F(ResumeTest, MissingEventFileStopsNothing) {
  ASSERT_TRUE(succeeds(run_xception(arguments(run, {"train.epochs=2"}))));
  for (const auto& entry : fs::directory_iterator(run)) {
    if (entry.path().filename().string().starts_with("events.")) fs::remove(entry.path());
  }
  const auto result = run_xception(arguments(run, {"--resume", "train.epochs=3"}));
  EXPECT_TRUE(succeeds(result));
  EXPECT_THAT(result.out, HasSubstr("TensorBoard starts anew"));
  EXPECT_EQ(csv_rows(run / "history.csv").size(), 3U);
}

TEST_F(ResumeTest, CompleteRunIsLeftAlone) {
  run = copied_run();
  const auto before = snapshot(run);
  const auto result = run_xception(train_arguments(run, {"--resume", "train.epochs=2"}));
  EXPECT_TRUE(succeeds(result));
  EXPECT_THAT(result.out, HasSubstr("complete (2 epochs)"));
  EXPECT_EQ(snapshot(run), before);
}

TEST_F(ResumeTest, CompleteRunHasMoreEpochsThanAskedFor) {
  run = copied_run();
  const auto before = snapshot(run);
  const auto result = run_xception(train_arguments(run, {"--resume", "train.epochs=1"}));
  EXPECT_TRUE(succeeds(result));
  EXPECT_THAT(result.out, HasSubstr("complete (2 epochs, more than the 1 asked for"));
  EXPECT_EQ(snapshot(run), before);
}

TEST_F(ResumeTest, APauseSaysHowToGoOn) {
  const Arguments keys = {"train.epochs=3", "schedule.name=cosine"};
  auto first = keys;
  first.emplace_back("train.stop_after_epoch=2");
  // With the key, and as it is remembered: the last line is no finished run's.
  for (auto& start : {first, Arguments{"--resume"}}) {
    const auto result = run_xception(train_arguments(run, start));
    EXPECT_TRUE(succeeds(result));
    const auto last = result.out.substr(result.out.rfind('\n', result.out.size() - 2) + 1);
    EXPECT_THAT(last, HasSubstr("paused after epoch 2 of 3"));
    EXPECT_THAT(last, HasSubstr("--resume and train.stop_after_epoch=0"));
    EXPECT_THAT(result.out, Not(HasSubstr("done: ")));
  }
  EXPECT_TRUE(fails(run_xception(train_arguments(run, {"--resume", "train.epochs=1"})), 2,
                    {"train.epochs: found 1", "has epoch 2 already"}));
  const auto rest = run_xception(train_arguments(run, {"--resume", "train.stop_after_epoch=0"}));
  EXPECT_TRUE(succeeds(rest));
  EXPECT_THAT(rest.out, HasSubstr("done: "));
  EXPECT_EQ(json_of(run / "summary.json")["epochs"], 3);
  // A finished run has no cosine left to bend.
  const auto fewer = run_xception(train_arguments(run, {"--resume", "train.epochs=2"}));
  EXPECT_TRUE(succeeds(fewer));
  EXPECT_THAT(fewer.out, Not(HasSubstr("the cosine")));
}

TEST_F(ResumeTest, AnotherLearningRateIsRefused) {
  run = copied_run();
  const auto before = snapshot(run);
  EXPECT_TRUE(fails(
      run_xception(train_arguments(run, {"--resume", "train.epochs=3", "optimizer.lr=0.002"})), 2,
      {"--resume", "optimizer.lr", "0.002", "0.001", "another --out"}));
  EXPECT_EQ(snapshot(run), before);
}

TEST_F(ResumeTest, OtherDataAreRefused) {
  run = copied_run();
  const auto before = snapshot(run / "checkpoints");
  const auto other = folder / "other";
  ASSERT_TRUE(succeeds(run_xception({"data", "synthesize", "--out", other.string(), "--train",
                                     "300", "--test", "60", "--seed", "1"})));
  auto more = train_arguments(run, {"--resume", "train.epochs=3"});
  more[2] = other.string();
  EXPECT_TRUE(fails(run_xception(more), 2, {"--resume", other.string(), "checksum", "--data"}));
  EXPECT_EQ(snapshot(run / "checkpoints"), before);
  EXPECT_EQ(json_of(run / "config.json"), json_of(complete_run() / "config.json"));
}

TEST_F(ResumeTest, MoreEpochsAreTrained) {
  ASSERT_TRUE(succeeds(run_xception(arguments(run, {"train.epochs=2"}))));
  const auto result = run_xception(arguments(run, {"--resume", "train.epochs=3"}));
  EXPECT_TRUE(succeeds(result));
  EXPECT_THAT(result.out, HasSubstr("resume: from epoch 3 of 3, step 0 of 9"));
  EXPECT_EQ(json_of(run / "config.json")["train"]["epochs"], 3);
  expect_same_as_reference();
}

TEST_F(ResumeTest, TheSavedConfigIsTheDefault) {
  ASSERT_TRUE(succeeds(run_xception(arguments(run, {"train.epochs=2"}))));
  // Only what changes needs to be said.
  EXPECT_TRUE(succeeds(run_xception(
      {"train", "--out", run.string(), "--resume", "--device", "cpu", "train.epochs=3"})));
  expect_same_as_reference();
}

TEST_F(ResumeTest, SecondSigintEndsAtOnce) {
  // One step takes minutes: 130 parts of 2 large images.
  Process process(xception_command(
      train_arguments(run, {"model.width=1", "model.middle_blocks=8", "data.image_size=299",
                            "train.batch_size=260", "train.accumulate=130"})));
  // Written as training starts.
  ASSERT_TRUE(process.wait_until([&] { return fs::exists(run / "summary.json"); }));
  process.send(SIGINT);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_FALSE(process.ended());  // it waits for the step's end
  process.send(SIGINT);
  EXPECT_EQ(process.wait().signal, SIGINT);
}

}  // namespace
}  // namespace xception
