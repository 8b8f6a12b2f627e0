#include "find_lr.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>

#include "xception/core/error.h"
#include "xception/core/files.h"
#include "xception/core/json.h"
#include "xception/core/log.h"
#include "xception/core/signals.h"
#include "xception/parallel/device.h"
#include "xception/report/charts.h"
#include "xception/train/run_directory.h"

namespace xception {
namespace {

namespace fs = std::filesystem;

constexpr const char* kName = "find-lr";

/// Refuses a folder that has a test's files. Errors (input).
void check_folder(const fs::path& folder) {
  for (const auto* extension : {".csv", ".json", ".svg"}) {
    const auto file = folder / (std::string(kName) + extension);
    if (!fs::exists(file)) continue;
    throw input_error("train", "--out {}: holds {} already; choose another folder", folder.string(),
                      file.filename().string());
  }
}

/// Where the files go, made before the test: what can't be written is known at once.
fs::path folder_for(const TrainRequest& request) {
  if (request.out.empty()) return claim_run_directory(kName).root();
  std::error_code error;
  fs::create_directories(request.out, error);
  if (!error) return request.out;
  throw input_error("train", "--out {}: cannot be made: {}; choose another folder", request.out,
                    error.message());
}

void write_tables(const fs::path& folder, const LrRangeTest& test) {
  std::string csv = "step,learning_rate,loss,smoothed_loss\n";
  for (std::size_t i = 0; i < test.rates.size(); ++i) {
    csv += fmt::format("{},{},{},{}\n", i + 1, test.rates[i], test.losses[i], test.smoothed[i]);
  }
  write_file_atomic(folder / (std::string(kName) + ".csv"), csv);
  write_json(folder / (std::string(kName) + ".json"), {{"steepest", test.steepest},
                                                       {"tenth_of_minimum", test.tenth_of_minimum},
                                                       {"diverged", test.diverged},
                                                       {"learning_rates", test.rates},
                                                       {"losses", test.losses},
                                                       {"smoothed_losses", test.smoothed}});
}

void draw_chart(const fs::path& folder, const LrRangeTest& test) {
  LineChart chart{.title = "Learning-rate range test",
                  .x = {.label = "learning rate, power of ten"},
                  .y = {.label = "training loss"}};
  // Where the loss falls; what it rises to in the end would leave nothing of that to see.
  chart.y.low = 0.95 * *std::min_element(test.losses.begin(), test.losses.end());
  chart.y.high = 1.2 * test.smoothed.front();
  Series losses{.label = "a batch's", .y = test.losses, .style = kGray};
  for (const auto rate : test.rates) losses.x.push_back(std::log10(rate));
  Series smoothed{.label = "smoothed", .x = losses.x, .y = test.smoothed};
  const auto at = std::log10(test.steepest);
  Series steepest{.label = fmt::format("steepest, {:.2g}", test.steepest),
                  .x = {at, at},
                  .y = {*chart.y.low, *chart.y.high},
                  .style = 1,
                  .kind = Series::Kind::dashed};
  chart.series = {losses, smoothed, steepest};
  try {
    ChartBook book(folder);
    book.add(kName, chart);
    book.draw();
  } catch (const Error& error) {
    spdlog::warn("no chart was drawn: {}", error.what());
  }
}

}  // namespace

int find_learning_rate(const TrainRequest& request, const LrRange& range) {
  if (range.high <= range.low) {
    throw input_error("train", "--lr-max: found {} with --lr-min {}; expected more than that",
                      range.high, range.low);
  }
  if (request.resume || request.dry_run || request.ranks > 1) {
    throw input_error("train", "--find-lr: goes neither with --resume, --dry-run nor --ranks");
  }
  if (!request.out.empty()) check_folder(request.out);
  auto config = requested_config(request);
  const auto device = parse_device(request.device);
  resolve_batch_size(config, 1);
  check_together(config);
  resolve_model(config);
  apply_runtime_settings(config);
  const auto alone = Communicator::alone();
  const Experiment experiment(config, device, [&](const RunConfig& of, const torch::Device& on) {
    return plan_training(of, on, *alone);
  });
  const StopSignals signals;
  for (const auto& notice : config.notices) spdlog::info("{}", notice);
  spdlog::info("learning rates {} to {}, at most {} steps of {} images on {}", range.low,
               range.high, range.steps, experiment.config().train.batch_size, device.str());
  const auto folder = folder_for(request);
  const auto test = test_learning_rates(experiment, range);
  if (const int signal = StopSignals::received(); signal != 0) {
    spdlog::info("stopped after {} of {} steps; nothing is suggested", test.rates.size(),
                 range.steps);
    return 128 + signal;
  }
  write_tables(folder, test);
  draw_chart(folder, test);
  spdlog::info("{} steps{}", test.rates.size(), test.diverged ? ", until the loss rose" : "");
  spdlog::info("optimizer.lr={:.2g}: where the loss falls fastest", test.steepest);
  spdlog::info("optimizer.lr={:.2g}: a tenth of the rate with the lowest loss",
               test.tenth_of_minimum);
  spdlog::info("wrote {}", (folder / kName).string() + ".csv, .json, .svg");
  return 0;
}

}  // namespace xception
