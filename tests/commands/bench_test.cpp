// xception bench.
#include <gmock/gmock.h>

#include <algorithm>
#include <csignal>

#include "commands/command_testing.h"

namespace xception {
namespace {

using testing::HasSubstr;
using testing::IsSupersetOf;

/// Small enough that a step takes a fraction of a second.
Arguments bench_arguments(const Arguments& more = {}) {
  Arguments arguments = {"bench",
                         "--device",
                         "cpu",
                         "model.width=0.1",
                         "--image-size",
                         "71",
                         "--batch-size",
                         "2",
                         "--steps",
                         "1",
                         "--windows",
                         "2",
                         "model.middle_blocks=1",
                         "parallel.threads=1"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

class BenchCommand : public CommandTest {};

TEST_F(BenchCommand, TableJsonAndCsv) {
  const auto json_file = (folder / "bench.json").string();
  const auto csv_file = (folder / "bench.csv").string();
  const auto result =
      run_xception(bench_arguments({"--precision", "fp32,bf16", "--json", json_file, "--csv",
                                    csv_file, "optimizer.name=lion", "average.name=ema"}));
  ASSERT_TRUE(succeeds(result));
  for (const auto* word : {"train with lion and ema", "machine: ", "LibTorch", "images/s",
                           "of peak", "xception:paper", "bf16", "machine's best: "}) {
    EXPECT_THAT(result.out, HasSubstr(word));
  }
  const auto json = json_of(json_file);
  EXPECT_THAT(keys_of(json), IsSupersetOf({"cases", "command_line", "device", "environment",
                                           "machine", "mode", "signal", "windows"}));
  ASSERT_EQ(json["cases"].size(), 2U);
  for (const auto& item : json["cases"]) {
    EXPECT_EQ(item["status"], "done");
    EXPECT_EQ(item["optimizer"], "lion");
    EXPECT_EQ(item["average"], "ema");
    EXPECT_EQ(item["windows_images_per_second"].size(), 2U);
    for (const auto* key : {"images_per_second", "split_ms"}) EXPECT_TRUE(item[key].is_object());
    for (const auto* key : {"step_ms", "multiply_adds", "flops_per_second", "share_of_peak",
                            "operators", "operand_read_bytes", "share_of_copy"}) {
      EXPECT_GT(item[key].get<double>(), 0) << key;
    }
    for (const auto* phase : {"data", "forward", "loss", "backward", "metrics", "optimizer"}) {
      EXPECT_GT(item["split_ms"][phase].get<double>(), 0) << phase;
    }
    EXPECT_TRUE(item["kernel_launches"].is_null());
  }
  EXPECT_GE(json["cases"][0]["images_per_second"]["median"],
            json["cases"][1]["images_per_second"]["median"]);
  const auto csv = content_of(csv_file);
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + 2 * 2);  // two windows of two cases
  EXPECT_TRUE(csv.starts_with("model,variant,mode,precision,image_size,batch_size,")) << csv;
}

TEST_F(BenchCommand, InferenceAndDataHaveFewerPhases) {
  const auto file = (folder / "bench.json").string();
  ASSERT_TRUE(succeeds(run_xception(bench_arguments({"--mode", "inference", "--json", file}))));
  const auto inference = json_of(file)["cases"][0];
  EXPECT_FALSE(inference["split_ms"].contains("backward"));
  EXPECT_EQ(inference["step_flops"].get<std::int64_t>(),
            2 * 2 * inference["multiply_adds"].get<std::int64_t>());
  ASSERT_TRUE(succeeds(
      run_xception({"bench", "--mode", "data", "--image-size", "71", "--batch-size", "4", "--steps",
                    "1", "--windows", "1", "--device", "cpu", "--data", small_data().string(),
                    "data.validation_size=40", "--json", file, "--overwrite"})));
  const auto data = json_of(file);
  EXPECT_EQ(keys_of(data["cases"][0]["split_ms"]), std::vector<std::string>{"data"});
  EXPECT_TRUE(data["cases"][0]["model"].is_null());
}

TEST_F(BenchCommand, FindsTheLargestBatchUpToTheLimit) {
  const auto file = (folder / "bench.json").string();
  auto arguments = bench_arguments({"--max-batch", "6", "--json", file});
  *(std::find(arguments.begin(), arguments.end(), "--batch-size") + 1) = "auto";
  const auto result = run_xception(arguments);
  ASSERT_TRUE(succeeds(result));
  EXPECT_THAT(result.out, HasSubstr("batch 6: the largest batch that fits"));
  EXPECT_EQ(json_of(file)["cases"][0]["batch_size"], 6);
  EXPECT_EQ(json_of(file)["cases"][0]["batch_size_searched"], true);
}

TEST_F(BenchCommand, BadInputIsOneLine) {
  const std::vector<std::pair<Arguments, std::vector<std::string>>> cases = {
      {{"--models", "xeption"}, {"xeption", "did you mean"}},
      {{"--models", "xception", "--image-size", "40"}, {"40", "at least 71"}},
      {{"--batch-size", "0"}, {"--batch-size", "\"0\""}},
      {{"--batch-size", "8,x"}, {"--batch-size", "\"x\""}},
      {{"--image-size", "71,"}, {"--image-size", "empty"}},
      {{"--precision", "fp31"}, {"fp31", "bf16"}},
      {{"--mode", "fly"}, {"--mode fly", "inference"}},
      {{"--windows", "0"}, {"--windows"}},
      {{"--mode", "inference", "optimizer.lr=1"}, {"optimizer.lr", "--mode train"}},
      {{"--steps", "2", "--window-seconds", "1"}, {"--steps", "--window-seconds"}},
      {{"--batch-size", "8", "train.batch_size=9"}, {"train.batch_size", "one of the two"}},
      {{"model.nam=x"}, {"did you mean model.name?"}},
      {{"--json", (folder / "none" / "a.json").string()}, {"--json", "none"}},
      {{"--csv", folder.string()}, {"--csv", "directory"}},
      {{"--json", write("there.json", "{}").string()}, {"there.json", "exists", "--overwrite"}},
      {{"--csv", write("there.csv", "").string()}, {"there.csv", "exists", "--overwrite"}},
      {{"--data", (folder / "nothing").string()}, {"nothing"}},
  };
  for (const auto& [arguments, words] : cases) {
    SCOPED_TRACE(testing::PrintToString(arguments));
    Arguments all = {"bench", "--device", "cpu"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    EXPECT_TRUE(fails(run_xception(all), 2, words));
  }
}

TEST_F(BenchCommand, StoppedItStillSaysWhatItMeasured) {
  const auto file = folder / "bench.json";
  auto arguments = bench_arguments({"--json", write("bench.json", "old").string(), "--overwrite"});
  *(std::find(arguments.begin(), arguments.end(), "--windows") + 1) = "1000";
  Process process(xception_command(arguments));
  ASSERT_TRUE(process.wait_for("LibTorch"));
  process.send(SIGINT);
  const auto result = process.wait();
  EXPECT_EQ(result.exit_code, 130);
  EXPECT_EQ(result.signal, 0);  // it left by itself
  EXPECT_THAT(result.out, HasSubstr("images/s"));
  EXPECT_EQ(json_of(file)["signal"], SIGINT);
}

}  // namespace
}  // namespace xception
