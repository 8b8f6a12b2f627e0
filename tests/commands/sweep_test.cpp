// `xception sweep` as a user runs it: kept and retried trials, kills, limits, bad files.
#include <gmock/gmock.h>

#include <chrono>
#include <csignal>
#include <deque>
#include <random>
#include <thread>

#include "commands/command_testing.h"

namespace xception {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

/// Sweeps over a network whose epoch takes half a second.
class SweepTest : public CommandTest {
 protected:
  /// A sweep file with a tiny base and `rest`, which begins with a comma.
  fs::path file(const std::string& rest, const std::string& name = "sweep.json") const {
    return write(name, R"({"base": {"model": {"width": 0.125, "middle_blocks": 0},
      "data": {"image_size": 71, "validation_size": 40},
      "train": {"batch_size": 32, "epochs": 2, "log_interval": 1}})" +
                           rest + "}");
  }

  [[nodiscard]] Arguments arguments(const fs::path& sweep, const Arguments& more = {}) const {
    Arguments result = {"sweep",    sweep.string(), "--data", small_data().string(),
                        "--device", "cpu",          "--out",  out.string()};
    result.insert(result.end(), more.begin(), more.end());
    return result;
  }

  [[nodiscard]] nlohmann::json status() const {
    const auto result = run_xception({"sweep", "status", out.string(), "--json"});
    EXPECT_TRUE(succeeds(result));
    return nlohmann::json::parse(result.out);
  }

  /// The leaderboard without what depends on time.
  static nlohmann::json board(const fs::path& folder) {
    auto json = json_of(folder / "leaderboard.json");
    for (auto& variant : json["variants"]) {
      variant.erase("train_seconds");
      variant.erase("images_per_second");
    }
    return json;
  }

  static int count(const std::string& text, const std::string& part) {
    int n = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
    return n;
  }

  fs::path out = folder / "out";
};

const std::string kTwoByTwo =
    R"(, "grid": {"model.intermediate_activation": ["none", "relu"]}, "seeds": 2)";

TEST_F(SweepTest, TrainsEveryTrialAndRanksThem) {
  const auto sweep = file(kTwoByTwo);
  const auto plan = run_xception(arguments(sweep, {"--dry-run"}));
  EXPECT_TRUE(succeeds(plan));
  EXPECT_THAT(plan.out, HasSubstr("2 variants x 2 seeds = 4 trials"));
  EXPECT_THAT(plan.out, HasSubstr("nothing was trained, nothing was written"));
  // The trials are shown before their time is known, so without it.
  EXPECT_EQ(count(plan.out, " 2 epochs\n"), 4);
  EXPECT_FALSE(fs::exists(out));

  const auto result = run_xception(arguments(sweep, {"--jobs", "2"}));
  EXPECT_TRUE(succeeds(result));
  EXPECT_EQ(count(result.out, ": complete, validation_accuracy"), 4);
  for (const auto* extension : {"md", "csv", "json"}) {
    EXPECT_TRUE(fs::exists(out / (std::string("leaderboard.") + extension)));
  }
  EXPECT_EQ(csv_rows(out / "leaderboard.csv").size(), 2U);
  EXPECT_EQ(board(out)["comparisons"].size(), 1U);
  // Trials are ordinary runs, equal to what train makes of the same config.
  for (const auto& trial : status()) {
    EXPECT_EQ(trial["state"], "complete");
    const auto name = trial["trial"].get<std::string>();
    const auto run = out / "trials" / name;
    EXPECT_TRUE(succeeds(run_xception({"eval", "--run", run.string(), "--device", "cpu"})));
  }
  const auto name = status()[3]["trial"].get<std::string>();
  const auto config = out / "configs" / (name + ".json");
  EXPECT_TRUE(succeeds(run_xception({"train", "--config", config.string(), "--device", "cpu",
                                     "--out", (folder / "alone").string(), "parallel.threads=1"})));
  EXPECT_TRUE(content_of(folder / "alone/checkpoints/last/model.safetensors") ==
              content_of(out / "trials" / name / "checkpoints/last/model.safetensors"));
}

TEST_F(SweepTest, DryRunTimesNetworksOfSmallImages) {
  for (const auto* list : {R"({"model.name": "resnet9", "data.image_size": 32})",
                           R"({"model.name": "resnet18", "data.image_size": 32})",
                           R"({"model.stem": "small", "data.image_size": 32})"}) {
    const auto sweep =
        write("small.json",
              std::string(R"({"set": {"data.validation_size": 40}, "list": [)") + list + "]}");
    const auto plan = run_xception(arguments(sweep, {"--dry-run"}));
    EXPECT_TRUE(succeeds(plan)) << list;
    EXPECT_THAT(plan.out, HasSubstr("1 variants x 1 seeds"));
  }
}

TEST_F(SweepTest, FinishedTrialsAreKept) {
  ASSERT_TRUE(succeeds(run_xception(arguments(file(kTwoByTwo)))));
  const auto before = snapshot(out / "trials");
  EXPECT_TRUE(
      fails(run_xception(arguments(file(kTwoByTwo))), 2, {"already holds a sweep", "--resume"}));
  // One more variant, and the same trials under other labels: recognized by what they are.
  const auto more = file(R"(, "grid": {"model.intermediate_activation": ["none", "relu", "elu"],
                                       "train.batch_size": [32]}, "seeds": 2)");
  const auto result = run_xception(arguments(more, {"--resume"}));
  EXPECT_TRUE(succeeds(result));
  EXPECT_THAT(result.out, HasSubstr("6 trials, 4 complete"));
  EXPECT_EQ(count(result.out, ": complete, validation_accuracy"), 2);
  const auto after = snapshot(out / "trials");
  for (const auto& [name, content] : before) {
    EXPECT_TRUE(after.contains(name) && after.at(name) == content) << name;
  }
}

TEST_F(SweepTest, AFailingTrialStopsNoOther) {
  // The second learning rate diverges; the third trial is out of memory.
  const auto sweep = file(R"(, "list": [{"optimizer.lr": 0.001}, {"optimizer.lr": 1e30},
    {"data.image_size": 2048, "train.batch_size": 260, "model.width": 8}], "retries": 1)");
  const auto result = run_xception(arguments(sweep), {.address_bytes = 12'000'000'000});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(result.out, HasSubstr("failed (1 of 1 retries): [train]"));
  const auto trials = status();
  EXPECT_EQ(trials[0]["state"], "complete");
  EXPECT_EQ(trials[1]["state"], "failed");
  EXPECT_THAT(trials[1]["reason"].get<std::string>(), HasSubstr("not finite"));
  EXPECT_EQ(trials[1]["failures"], 2);
  EXPECT_EQ(trials[2]["state"], "failed");
  EXPECT_THAT(trials[2]["reason"].get<std::string>(), HasSubstr("out of memory"));
  const auto text = content_of(out / "leaderboard.md");
  EXPECT_THAT(text, HasSubstr("Not complete:"));
  EXPECT_THAT(text, HasSubstr("out of memory"));
}

TEST_F(SweepTest, KillsChangeNothing) {
  const auto sweep = file(R"(, "grid": {"model.intermediate_activation": ["none", "relu", "elu"]},
                               "set": {"train.checkpoint_interval": 2, "train.epochs": 4}, "retries": 9)");
  const auto undisturbed = folder / "undisturbed";
  {
    auto calm = arguments(sweep, {"--jobs", "2"});
    std::replace(calm.begin(), calm.end(), out.string(), undisturbed.string());
    ASSERT_TRUE(succeeds(run_xception(calm)));
  }
  std::mt19937 generator{std::random_device{}()};
  for (int i = 0; i < 3; ++i) {
    Process process(xception_command(arguments(sweep, {"--jobs", "2", "--resume"})));
    std::vector<pid_t> trials;
    process.wait_until([&] {
      trials = children_of(process.id());
      return trials.size() == 2;
    });
    const auto moment = std::uniform_int_distribution<int>(700, 1500)(generator);
    SCOPED_TRACE(testing::Message() << "round " << i << ", after " << moment << " ms");
    std::this_thread::sleep_for(std::chrono::milliseconds(moment));
    if (!trials.empty()) ::kill(trials.front(), SIGKILL);  // a trial: it is tried again
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    process.send(SIGKILL);  // the sweep
    process.wait();
  }
  const auto result = run_xception(arguments(sweep, {"--jobs", "2", "--resume"}));
  EXPECT_TRUE(succeeds(result));
  EXPECT_EQ(board(out), board(undisturbed));
}

TEST_F(SweepTest, AStoppedSweepGoesOn) {
  const auto sweep = file(R"(, "seeds": 2, "set": {"train.epochs": 4})");
  Process process(xception_command(arguments(sweep)));
  process.wait_until([&] { return children_of(process.id()).size() == 1; });
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  process.send(SIGUSR1);  // the trial saves and goes on
  process.send(SIGHUP);
  const auto stopped = process.wait();
  EXPECT_EQ(stopped.exit_code, 128 + SIGHUP);
  EXPECT_THAT(stopped.out, HasSubstr("--resume"));
  EXPECT_EQ(status()[0]["state"], "interrupted");
  EXPECT_TRUE(succeeds(run_xception(arguments(sweep, {"--resume"}))));
}

TEST_F(SweepTest, TwoSweepsInOneFolderAreRefused) {
  const auto sweep = file(R"(, "set": {"train.epochs": 1000})");
  Process first(xception_command(arguments(sweep)));
  first.wait_until([&] { return !children_of(first.id()).empty(); });
  EXPECT_EQ(status()[0]["state"], "running");  // before it has locked its folder, too
  EXPECT_TRUE(fails(run_xception(arguments(sweep, {"--resume"})), 2, {"another process"}));
  const auto shown = run_xception({"sweep", "status", out.string()});
  EXPECT_THAT(shown.out, HasSubstr("running"));
  first.send(SIGTERM);
  EXPECT_EQ(first.wait().exit_code, 143);
  // A dead owner holds nobody.
  EXPECT_TRUE(
      succeeds(run_xception(arguments(file(R"(, "set": {"train.epochs": 1})"), {"--resume"}))));
}

TEST_F(SweepTest, OfTwoStartedAtOnceOneIsRefused) {
  const auto sweep = file("");
  const Arguments start = {"sweep",    sweep.string(), "--data", small_data().string(),
                           "--device", "cpu"};
  std::deque<Process> both;
  for (int i = 0; i < 2; ++i)
    both.emplace_back(xception_command(start), ProcessOptions{.folder = folder});
  int trained = 0;
  for (auto& process : both) {
    const auto result = process.wait();
    if (result.exit_code == 0) ++trained;
    if (result.exit_code == 0) continue;
    EXPECT_TRUE(fails(result, 2, {"sweeps/sweep: ", "folder by --out"}));
  }
  EXPECT_EQ(trained, 1);
}

TEST_F(SweepTest, HalvingStopsTheHopeless) {
  // Learning rates so low that nothing is learned, and one that learns.
  const auto sweep = file(R"(, "grid": {"optimizer.lr": [1e-9, 2e-9, 3e-3, 3e-9, 4e-9, 5e-9]},
    "set": {"train.epochs": 6}, "metric": "train_loss", "asha": {"min_epochs": 1, "reduction": 3})");
  // One after the other: which of two that run side by side is done first decides who is promoted.
  const auto result = run_xception(arguments(sweep, {"--jobs", "1"}));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.out, HasSubstr("warning: asha: whether one of 6 trials comes to epoch 6"));
  EXPECT_THAT(result.out, HasSubstr("warning: no trial is complete"));
  EXPECT_THAT(result.out, Not(HasSubstr("done: ")));
  std::int64_t epochs = 0;
  int complete = 0;
  for (const auto& trial : status()) {
    epochs += trial["epochs"].get<std::int64_t>();
    if (trial["state"] == "complete") {
      ++complete;
    } else {
      EXPECT_EQ(trial["state"], "stopped");
    }
  }
  EXPECT_LT(epochs, 6 * 6 / 2);
  const auto best = board(out)["variants"][0];
  EXPECT_EQ(complete, 0) << "two of six go on to three epochs, none of those is a third of three";
  EXPECT_EQ(best["complete"], 0);
}

TEST_F(SweepTest, APromotedTrialEqualsOneThatWasNeverStopped) {
  const std::string rest = R"(, "grid": {"optimizer.lr": [1e-9, 3e-3, 2e-9]},
    "set": {"train.epochs": 3, "schedule.name": "cosine"}, "metric": "train_loss")";
  ASSERT_TRUE(succeeds(run_xception(
      arguments(file(rest + R"(, "asha": {"min_epochs": 1, "reduction": 3})", "asha.json")))));
  auto full = arguments(file(rest, "full.json"));
  const auto other = folder / "full";
  std::replace(full.begin(), full.end(), out.string(), other.string());
  ASSERT_TRUE(succeeds(run_xception(full)));
  const auto trials = status();
  EXPECT_EQ(trials[1]["state"], "complete");
  EXPECT_EQ(trials[0]["state"], "stopped");
  const auto file_name = fs::path("trials") / trials[1]["trial"].get<std::string>() /
                         "checkpoints/last/model.safetensors";
  EXPECT_TRUE(content_of(out / file_name) == content_of(other / file_name));
}

TEST_F(SweepTest, LimitsEndIt) {
  const auto sweep = file(R"(, "seeds": 3, "limits": {"epochs": 5})");
  const auto result = run_xception(arguments(sweep));
  EXPECT_TRUE(succeeds(result));
  EXPECT_THAT(result.out, HasSubstr("limits.epochs 5 is reached"));
  const auto trials = status();
  EXPECT_EQ(trials[1]["state"], "complete");
  EXPECT_EQ(trials[2]["state"], "waiting");
}

TEST_F(SweepTest, ATrialIsNobodysRank) {
  // As if the sweep ran under torchrun or srun.
  ProcessOptions options;
  options.environment = {{"RANK", "1"},
                         {"WORLD_SIZE", "2"},
                         {"MASTER_ADDR", "nowhere"},
                         {"MASTER_PORT", "1"},
                         {"LOCAL_RANK", "1"},
                         {"SLURM_PROCID", "1"},
                         {"SLURM_STEP_NUM_TASKS", "2"}};
  EXPECT_TRUE(succeeds(run_xception(arguments(file("")), options)));
  EXPECT_EQ(status()[0]["state"], "complete");
}

TEST_F(SweepTest, BadSweepsAreRefusedBeforeTheFirstTrial) {
  const auto refused = [&](const std::string& rest, const std::vector<std::string>& words,
                           const Arguments& more = {}) {
    EXPECT_TRUE(fails(run_xception(arguments(file(rest), more)), 2, words)) << rest;
    EXPECT_FALSE(fs::exists(out)) << rest;
  };
  refused(R"(, "grid": {"model.widht": [1]})", {"model.widht", "model.width"});
  refused(R"(, "metric": "speed")", {"speed", "validation_accuracy"});
  refused(R"(, "set": {"data.validation_size": 0})", {"validation_accuracy", "empty"});
  refused(R"(, "grid": {"data.validation_size": [40, 300]})", {"validation_size=300", "300"});
  refused(R"(, "grid": {"augment.train": [[{"name": "rezise"}]]})", {"rezise"});
  refused(R"(, "seeds": [0, 0])", {"twice"});
  refused("", {"optimizer.lrr"}, {"optimizer.lrr=1"});
  refused(R"(, "asha": {})", {"Slurm"}, {"--launcher", "slurm"});
  refused(R"(, "seeds": 2, "set": {"train.epochs": 3}, "asha": {"min_epochs": 1, "reduction": 3})",
          {"asha: found 2 trials", "at least 3 trials"});
  refused(R"(, "seeds": 2, "limits": {"epochs": 1})", {"limits.epochs: found 1", "2 epochs"});
  refused(R"(, "grid": {"data.dir": ["a", "b"]})", {"data.dir"});
  EXPECT_TRUE(
      fails(run_xception({"sweep", file("").string(), "--data", "/nowhere"}), 2, {"/nowhere"}));
  EXPECT_TRUE(fails(run_xception({"sweep"}), 2, {"file"}));
  EXPECT_TRUE(fails(run_xception({"sweep", "nothing.json"}), 2, {"nothing.json"}));
  EXPECT_TRUE(
      fails(run_xception({"sweep", "status", small_data().string()}), 2, {"holds no sweep"}));
}

}  // namespace
}  // namespace xception
