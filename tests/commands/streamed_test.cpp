// Training on sets that are read from disk: the same results as from memory, also after a stop.
#include <gmock/gmock.h>

#include <algorithm>
#include <csignal>

#include "commands/command_testing.h"

namespace xception {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class StreamedRun : public CommandTest {
 protected:
  /// The small data set in another layout, its images in the same order where `keep`.
  fs::path converted(const std::string& format, bool keep = false) const {
    const auto to = folder / format;
    Arguments arguments = {"data",     "convert", small_data().string(), to.string(),
                           "--format", format,    "--shard-images",      "70"};
    if (keep) arguments.emplace_back("--keep-order");
    EXPECT_TRUE(succeeds(run_xception(arguments)));
    return to;
  }

  /// Two epochs of nine steps.
  static Arguments arguments(const fs::path& data, const fs::path& out,
                             const Arguments& more = {}) {
    auto all = train_arguments(out, {"train.epochs=2", "data.workers=3"});
    *(std::find(all.begin(), all.end(), "--data") + 1) = data.string();
    return with_overrides(std::move(all), more);
  }

  static void expect_same_weights(const fs::path& run, const fs::path& expected) {
    expect_same_files(
        run, expected,
        {"checkpoints/last/model.safetensors", "checkpoints/last/optimizer.safetensors",
         "checkpoints/best/model.safetensors"});
  }
};

TEST_F(StreamedRun, OfShardsEqualsTheOneFromMemory) {
  const auto shards = converted("shards", /*keep=*/true);
  ASSERT_TRUE(succeeds(run_xception(arguments(small_data(), folder / "resident"))));
  // Without windows, which would be another order; with and without decoded images in memory.
  for (const std::string megabytes : {"0", "100"}) {
    const auto out = folder / ("streamed " + megabytes);
    ASSERT_TRUE(succeeds(run_xception(
        arguments(shards, out, {"data.shuffle_window=0", "data.cache_mb=" + megabytes}))));
    expect_same_weights(out, folder / "resident");
  }
}

TEST_F(StreamedRun, StoppedWithinAnEpochEndsAsIfItHadNotBeen) {
  for (const std::string format : {"shards", "folder"}) {
    SCOPED_TRACE(format);
    const auto data = converted(format);
    const Arguments windows = {"data.shuffle_window=64"};
    const auto whole = folder / (format + " whole");
    const auto stopped = folder / (format + " stopped");
    ASSERT_TRUE(succeeds(run_xception(arguments(data, whole, windows))));
    Process process(xception_command(arguments(data, stopped, windows)));
    process.wait_until([&] { return progress_lines(process.output()) >= 3; });
    process.send(SIGTERM);
    EXPECT_EQ(process.wait().exit_code, 128 + SIGTERM);
    const auto position = json_of(stopped / "checkpoints/last/state.json");
    EXPECT_NE(position["step"].get<int>() % 9, 0);
    auto resumed = windows;
    resumed.emplace_back("--resume");
    EXPECT_TRUE(succeeds(run_xception(arguments(data, stopped, resumed))));
    expect_same_weights(stopped, whole);
  }
}

TEST_F(StreamedRun, ADamagedImageIsReplacedByTheSameOneOnEveryRank) {
  const auto data = converted("folder");
  for (const auto& entry : fs::recursive_directory_iterator(data / "train")) {
    if (entry.path().filename() == "00000007.png") fs::resize_file(entry.path(), 100);
  }
  const Arguments exact = {"train.precision=fp64", "parallel.batch_norm=sync", "train.epochs=1",
                           "train.batch_size=24"};
  // A damaged image ends the run, unless the config says otherwise.
  EXPECT_TRUE(fails(run_xception(arguments(data, folder / "stop", exact)), 2, {"00000007.png"}));
  std::vector<nlohmann::json> rows;
  for (const std::string ranks : {"1", "2"}) {
    auto all = exact;
    all.insert(all.end(), {"data.on_error=skip", "--ranks", ranks});
    const auto result = run_xception(arguments(data, folder / ranks, all));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(result.out + result.err, HasSubstr("another image of its class takes its place"));
    rows.push_back(csv_rows(folder / ranks / "history.csv").at(0));
  }
  for (const auto* name : {"step", "train_loss", "val_loss", "val_acc"}) {
    const auto value = std::stod(rows[1].at(name).get<std::string>());
    const auto wanted = std::stod(rows[0].at(name).get<std::string>());
    EXPECT_NEAR(value, wanted, 1e-6 * std::abs(wanted)) << name;
  }
}

}  // namespace
}  // namespace xception
