#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "xception/bench/workload.h"
#include "xception/train/run_config.h"

namespace xception {

/// What the user asked `xception bench` for; empty texts are left to the config and the defaults.
struct BenchRequest {
  std::optional<std::filesystem::path> config_file = {};
  std::vector<std::string> overrides = {};  ///< `key=value`
  std::string models = {};                  ///< `xception,inception_v3`, `xception:notebook`
  std::string mode = "train";
  std::string batch_sizes = {};  ///< `128`, `auto`, `8,16,32`
  std::string image_sizes = {};
  std::string precisions = {};
  std::string device = "auto";
  std::string data = {};  ///< folder of the data set; empty: random images
  std::int64_t windows = 5;
  double window_seconds = 1.0;
  std::int64_t window_steps = 0;  ///< in place of window_seconds, unless 0
  std::int64_t warmup_steps = 3;
  bool profile_range = false;  ///< on a GPU: a step in the NVTX range `step`, no kernel times
  std::int64_t max_batch = 0;  ///< where `auto` stops; 0: 1024 on the CPU, 16384 on a GPU
  bool overwrite = false;      ///< `json` and `csv`
  std::filesystem::path json = {};
  std::filesystem::path csv = {};
  std::vector<std::string> command_line = {};
};

/// A model, a mode, a precision, a size and a batch.
struct BenchCase {
  RunConfig config = {};  ///< resolved; for inference its eval_precision and eval_batch_size count
  std::string precision = {};
  std::int64_t batch = 0;  ///< 0: the largest that fits, still to be found
};

/// `xception, 299 px, fp32, batch 128`.
[[nodiscard]] std::string case_name(const BenchCase& item, BenchMode mode);

/// Sets the batch, in the config too.
void set_batch(BenchCase& item, std::int64_t batch);

/// What is to be measured.
struct BenchPlan {
  BenchMode mode = BenchMode::train;
  torch::Device device = torch::kCPU;
  std::vector<BenchCase> cases = {};  ///< every combination, models within sizes
  std::int64_t max_batch = 0;
  bool random_data = true;  ///< else the data set that the config names
};

/// Reads and checks the request. Errors (input): a list, a value, a model, a size that is too
/// small, a key that an option says too, a key that doesn't touch what is measured, a file that
/// cannot be written.
[[nodiscard]] BenchPlan plan_bench(const BenchRequest& request);

}  // namespace xception
