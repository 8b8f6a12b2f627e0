// kill -9 of each rank in turn, at random moments, twenty times.
#include <gmock/gmock.h>

#include <csignal>
#include <random>
#include <thread>

#include "commands/command_testing.h"

namespace xception {
namespace {

namespace fs = std::filesystem;

constexpr int kKills = 20;
constexpr int kRanks = 2;

class RanksChaosTest : public CommandTest {};

TEST_F(RanksChaosTest, KillsChangeNothing) {
  const auto with = [&](const fs::path& out) {
    return train_arguments(
        out, {"train.epochs=150", "train.batch_size=24", "train.checkpoint_interval=2",
              "model.dropout=0.3", "--ranks", std::to_string(kRanks), "--resume"});
  };
  const auto run = folder / "run";
  const auto reference = folder / "reference";
  ASSERT_TRUE(succeeds(run_xception(with(reference))));

  std::mt19937 generator{std::random_device{}()};
  int in_training = 0;
  for (int i = 0; i < kKills; ++i) {
    Process process(xception_command(with(run)));
    std::vector<pid_t> ranks;
    process.wait_until([&] {
      ranks = children_of(process.id());
      return ranks.size() == kRanks;
    });
    ASSERT_EQ(ranks.size(), kRanks);
    // Start-up takes about a second: some of the kills fall into it.
    const auto moment = std::uniform_int_distribution<int>(50, 3000)(generator);
    SCOPED_TRACE(testing::Message() << "kill " << i << " after " << moment << " ms");
    std::this_thread::sleep_for(std::chrono::milliseconds(moment));
    ASSERT_FALSE(process.ended()) << "too fast to be killed so often";
    ::kill(ranks.at(static_cast<std::size_t>(i % kRanks)), SIGKILL);
    const auto result = process.wait();
    EXPECT_TRUE(fails(result, 1, {"was killed by signal 9", "rank " + std::to_string(i % kRanks)}));
    for (const auto rank : ranks) EXPECT_FALSE(is_running(rank));
    if (result.out.find(" left  ") != std::string::npos) ++in_training;
    if (fs::exists(run / "checkpoints" / "last")) {
      EXPECT_TRUE(succeeds(run_xception(
          {"eval", "--run", run.string(), "--checkpoint", "last", "--device", "cpu"})));
    }
  }
  EXPECT_GT(in_training, kKills / 4);
  EXPECT_TRUE(succeeds(run_xception(with(run))));
  for (const auto* name :
       {"checkpoints/last/model.safetensors", "checkpoints/last/optimizer.safetensors",
        "predictions-best-test.safetensors"}) {
    EXPECT_TRUE(content_of(run / name) == content_of(reference / name)) << name << " differs";
  }
  const auto rows = csv_rows(run / "history.csv");
  const auto expected = csv_rows(reference / "history.csv");
  ASSERT_EQ(rows.size(), expected.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(rows[i].at("train_loss"), expected[i].at("train_loss")) << "epoch " << i + 1;
    EXPECT_EQ(rows[i].at("val_loss"), expected[i].at("val_loss")) << "epoch " << i + 1;
  }
}

}  // namespace
}  // namespace xception
