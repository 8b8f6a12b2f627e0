#include "xception/bench/bench.h"

#include <algorithm>

#include "xception/bench/output.h"
#include "xception/bench/runner.h"
#include "xception/core/device_fault.h"
#include "xception/core/error.h"
#include "xception/core/files.h"
#include "xception/core/log.h"
#include "xception/core/signals.h"
#include "xception/train/environment.h"
#include "xception/train/execution.h"
#include "xception/train/experiment.h"

namespace xception {
namespace {

/// Fewer would make an epoch of a few batches.
constexpr std::int64_t kRandomImages = 2048;

/// The data set of the config, or random images, enough for the largest batch.
Dataset dataset_of(const BenchPlan& plan) {
  const auto& config = plan.cases.front().config;
  if (!plan.random_data) return load_dataset(config.data);
  auto images = kRandomImages;
  for (const auto& item : plan.cases) {
    images = std::max(images, item.batch > 0 ? item.batch : plan.max_batch);
  }
  return random_dataset(images, config.model.num_classes);
}

void write_files(const BenchRequest& request, const BenchResults& results) {
  if (!request.json.empty()) {
    const auto text =
        bench_json(results).dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
    write_file_atomic(request.json, text + "\n");
  }
  if (!request.csv.empty()) write_file_atomic(request.csv, bench_csv(results));
}

/// Errors (run): not one case could be measured.
void check_any_measured(const BenchResults& results) {
  const auto& cases = results.cases;
  const auto is_measured = [](const CaseResult& result) {
    return !result.images_per_second.empty();
  };
  if (std::any_of(cases.begin(), cases.end(), is_measured)) return;
  const auto failed = std::find_if(cases.begin(), cases.end(), [](const CaseResult& result) {
    return result.status == CaseStatus::failed;
  });
  if (failed != cases.end()) {
    throw run_error("bench", "no case could be measured; {}: {}",
                    case_name(failed->item, results.mode), failed->error);
  }
  throw run_error("bench",
                  "out of memory in every case; give a smaller --batch-size or --image-size, or "
                  "--batch-size auto");
}

}  // namespace

int run_bench(const BenchRequest& request) {
  ignore_write_signals();
  const auto plan = plan_bench(request);
  const auto dataset = dataset_of(plan);
  apply_runtime_settings(plan.cases.front().config);
  BenchResults results{.mode = plan.mode,
                       .device = plan.device,
                       .data = dataset.name,
                       .environment = describe_environment(),
                       .command_line = request.command_line,
                       .windows = request.windows};
  for (const auto& item : plan.cases) ask_early(item.config, plan.device);
  (void)torch::zeros({1}, plan.device);  // a GPU's allocator has no figures before its first block
  BenchRunner runner(plan, request, dataset, results);
  for (const auto& line : bench_header(results)) spdlog::info("{}", line);
  {
    const StopSignals signals;
    runner.run();
    results.signal = StopSignals::received();
  }
  for (const auto& line : bench_table(results)) spdlog::info("{}", line);
  write_files(request, results);
  if (!results.device_fault.empty()) {
    end_after_device_fault(
        fmt::format("[bench] {}: {}; what was measured until then is above; "
                    "train.kernels=reference train.cuda_graph=false measures without our own "
                    "kernels",
                    plan.device.str(), results.device_fault));
  }
  if (results.signal != 0) {
    spdlog::info("stopped by signal {}; above is what was measured until then", results.signal);
    return 128 + results.signal;
  }
  check_any_measured(results);
  return 0;
}

}  // namespace xception
