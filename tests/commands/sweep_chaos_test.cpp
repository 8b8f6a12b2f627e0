// A sweep that is killed five times, with trials killed in between, beside one that nobody
// disturbs.
#include <gmock/gmock.h>

#include <csignal>
#include <random>
#include <sstream>
#include <thread>

#include "commands/command_testing.h"

namespace xception {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr int kSweepKills = 5;

class SweepChaosTest : public CommandTest {};

nlohmann::json without_times(const fs::path& sweep) {
  auto json = json_of(sweep / "leaderboard.json");
  for (auto& variant : json["variants"]) {
    variant.erase("train_seconds");
    variant.erase("images_per_second");
  }
  return json;
}

TEST_F(SweepChaosTest, EndsAsIfNothingHadBeen) {
  // Ten that train, one that diverges, one that is out of memory.
  const auto file = write("sweep.json", R"({
    "base": {"model": {"width": 0.125, "middle_blocks": 0},
             "data": {"image_size": 71, "validation_size": 40},
             "train": {"batch_size": 32, "epochs": 8, "log_interval": 1, "checkpoint_interval": 2}},
    "list": [{"optimizer.lr": 1e-3}, {"optimizer.lr": 2e-3}, {"optimizer.lr": 3e-3},
             {"optimizer.lr": 4e-3}, {"optimizer.lr": 5e-3}, {"optimizer.lr": 1e30},
             {"optimizer.name": "sgd"}, {"optimizer.name": "adamw"}, {"model.dropout": 0.3},
             {"model.intermediate_activation": "elu"}, {"model.separable_order": "pointwise_first"},
             {"data.image_size": 2048, "train.batch_size": 260, "model.width": 8}],
    "retries": 3})");
  const ProcessOptions limited{.address_bytes = 12'000'000'000,
                               .timeout = std::chrono::seconds(900)};
  const auto arguments = [&](const fs::path& out) {
    return Arguments{"sweep",    file.string(), "--data",    small_data().string(),
                     "--device", "cpu",         "--jobs",    "2",
                     "--resume", "--out",       out.string()};
  };
  const auto calm = folder / "calm";
  const auto out = folder / "out";
  EXPECT_EQ(run_xception(arguments(calm), limited).exit_code, 1);  // two trials fail

  std::mt19937 generator{std::random_device{}()};
  const auto wait = [&](int low, int high) {
    std::this_thread::sleep_for(
        std::chrono::milliseconds(std::uniform_int_distribution<int>(low, high)(generator)));
  };
  for (int i = 0; i < kSweepKills; ++i) {
    Process process(xception_command(arguments(out)), limited);
    process.wait_until([&] { return children_of(process.id()).size() == 2; });
    wait(500, 3000);
    const auto trials = children_of(process.id());
    if (!trials.empty()) {
      ::kill(trials[static_cast<std::size_t>(i) % trials.size()], SIGKILL);
    }
    wait(100, 1500);
    ASSERT_FALSE(process.ended()) << "too fast to be killed so often";
    process.send(SIGKILL);
    process.wait();
  }
  const auto result = run_xception(arguments(out), limited);
  EXPECT_EQ(result.exit_code, 1);

  const auto status = run_xception({"sweep", "status", out.string(), "--json"});
  int complete = 0;
  int failed = 0;
  for (const auto& trial : nlohmann::json::parse(status.out)) {
    const auto state = trial["state"].get<std::string>();
    complete += state == "complete" ? 1 : 0;
    failed += state == "failed" ? 1 : 0;
    // None was started again after it was complete.
    std::istringstream journal(
        content_of(out / "journal" / (trial["trial"].get<std::string>() + ".jsonl")));
    bool done = false;
    for (std::string line; std::getline(journal, line);) {
      EXPECT_FALSE(done) << trial["trial"] << ": " << line;
      done = done || line.find("\"complete\"") != std::string::npos;
    }
  }
  EXPECT_EQ(complete, 10);
  EXPECT_EQ(failed, 2);
  EXPECT_EQ(without_times(out), without_times(calm));
}

}  // namespace
}  // namespace xception
