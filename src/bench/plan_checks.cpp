#include "plan_checks.h"

#include <unistd.h>

#include <cerrno>
#include <set>
#include <system_error>
#include <tuple>

#include "xception/core/error.h"
#include "xception/core/output_path.h"
#include "xception/train/run_config.h"

namespace xception {
namespace {

/// The keys that the command line gives, without the file's.
std::set<std::string> keys_of(const std::vector<std::string>& overrides) {
  std::set<std::string> keys;
  for (const auto& text : overrides) keys.insert(text.substr(0, text.find('=')));
  return keys;
}

/// Refuses a key beside the option that means the same.
void check_pairs(const BenchRequest& request, const std::set<std::string>& keys) {
  const std::vector<std::tuple<std::string, std::string, std::string>> pairs = {
      {"--models", request.models, "model.name"},
      {"--models", request.models, "model.variant"},
      {"--batch-size", request.batch_sizes, "train.batch_size"},
      {"--batch-size", request.batch_sizes, "train.eval_batch_size"},
      {"--image-size", request.image_sizes, "data.image_size"},
      {"--precision", request.precisions, "train.precision"},
      {"--precision", request.precisions, "train.eval_precision"},
      {"--data", request.data, "data.dir"},
  };
  for (const auto& [option, value, key] : pairs) {
    if (value.empty() || !keys.contains(key)) continue;
    throw input_error("bench", "{}: found beside {} {}; expected one of the two", key, option,
                      value);
  }
}

/// Whether a mode looks at a key.
bool looks_at(BenchMode mode, const KeyDescription& key) {
  if (mode == BenchMode::train) return true;
  if (key.use.training_only) return false;
  if (mode == BenchMode::inference) return key.key != "augment.train";
  return key.key == "model.num_classes" ||
         !(key.key.starts_with("model.") || key.key == "augment.test");
}

/// Refuses a key of the command line that the mode doesn't look at.
void check_mode_keys(BenchMode mode, const std::set<std::string>& keys) {
  for (const auto& key : config_schema()) {
    if (!keys.contains(key.key) || looks_at(mode, key)) continue;
    throw input_error("bench", "{}: --mode {} doesn't look at it; leave it out, or use --mode {}",
                      key.key, bench_mode_name(mode),
                      key.key == "augment.test" ? "inference" : "train");
  }
}

/// Refuses a file that could not be written after the measurement.
void check_target(const std::string& option, const std::filesystem::path& file, bool overwrite) {
  if (file.empty()) return;
  std::error_code error;
  const auto status = std::filesystem::status(file, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    throw input_error("bench", "{} {}: found {}, expected a file or nothing", option, file.string(),
                      std::filesystem::is_directory(status) ? "a directory" : "a special file");
  }
  if (!overwrite) refuse_existing(file, option, "bench");
  const auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  if (!std::filesystem::is_directory(folder, error)) {
    throw input_error("bench", "{} {}: no folder {}; make it first", option, file.string(),
                      folder.string());
  }
  if (::access(folder.c_str(), W_OK | X_OK) != 0) {
    throw input_error("bench", "{} {}: cannot be written: {}", option, file.string(),
                      std::generic_category().message(errno));
  }
}

}  // namespace

void check_numbers(const BenchRequest& request) {
  if (request.windows < 1 || request.windows > 1000) {
    throw input_error("bench", "--windows: found {}, expected 1 .. 1000", request.windows);
  }
  if (!(request.window_seconds > 0 && request.window_seconds <= 3600)) {
    throw input_error("bench", "--window-seconds: found {}, expected above 0, up to 3600",
                      request.window_seconds);
  }
  if (request.window_steps < 0 || request.window_steps > 1'000'000) {
    throw input_error("bench", "--steps: found {}, expected 1 .. 1000000", request.window_steps);
  }
  if (request.warmup_steps < 3 || request.warmup_steps > 1'000'000) {
    throw input_error("bench",
                      "--warmup-steps: found {}, expected 3 .. 1000000 (one builds what is built "
                      "once, one is counted, one timed)",
                      request.warmup_steps);
  }
  if (request.max_batch < 0 || request.max_batch == 1 || request.max_batch > 1'000'000) {
    throw input_error("bench", "--max-batch: found {}, expected 2 .. 1000000", request.max_batch);
  }
}

void check_keys(const BenchRequest& request, BenchMode mode) {
  const auto keys = keys_of(request.overrides);
  check_pairs(request, keys);
  check_mode_keys(mode, keys);
}

void check_targets(const BenchRequest& request) {
  check_target("--json", request.json, request.overwrite);
  check_target("--csv", request.csv, request.overwrite);
}

}  // namespace xception
