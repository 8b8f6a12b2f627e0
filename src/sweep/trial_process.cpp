#include "xception/sweep/trial_process.h"

#include <cstring>
#include <fstream>
#include <thread>

#include "xception/core/error.h"
#include "xception/core/folder_lock.h"
#include "xception/core/seconds_since.h"
#include "xception/core/signals.h"

namespace xception {
namespace {

constexpr auto kSavingTime = std::chrono::seconds(60);

ChildProcess start_process(const SweepDirectory& directory, const TrialOrder& order) {
  const auto run = directory.run(order.trial);
  const auto until = std::chrono::steady_clock::now() + kSavingTime;
  while (FolderLock::is_held(run) && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  const auto stop = order.until_epoch < order.epochs ? order.until_epoch : 0;
  directory.write(order.trial, {.start = true, .device = order.device, .until = order.until_epoch});
  return ChildProcess::run({"xception", "train", "--config", directory.config(order.trial).string(),
                            "--out", run.string(), "--device", order.device, "--resume",
                            fmt::format("parallel.threads={}", order.threads),
                            fmt::format("train.stop_after_epoch={}", stop)},
                           {.environment = child_environment({}, is_job_variable),
                            .output = directory.output(order.trial),
                            .ignores_save_signals = true});
}

/// The last error that the trial's process printed; empty if there is none.
std::string last_error(const std::filesystem::path& output) {
  std::ifstream stream(output);
  std::string found;
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with("error: ")) found = line.substr(7);
  }
  return found;
}

}  // namespace

TrialProcess::TrialProcess(const SweepDirectory& directory, TrialOrder order)
    : directory_(directory),
      order_(std::move(order)),
      process_(start_process(directory_, order_)) {}

double TrialProcess::seconds() const {
  return seconds_since(start_);
}

JournalEntry TrialProcess::finish(const Metric& metric) const {
  const auto result = directory_.read_result(order_.trial, metric);
  JournalEntry entry;
  entry.seconds = seconds();
  entry.epochs = result.epochs;
  const auto code = process_.exit_code();
  if (code == 0 && (result.status == RunStatus::complete || result.status == RunStatus::paused)) {
    entry.outcome = text_of(result.status);
  } else if (const int number = code ? *code - 128 : process_.signal();
             (code && number > 0) || is_stop_signal(number)) {
    entry.outcome = "interrupted";
    entry.reason = fmt::format("stopped by signal {}", number);
  } else {
    entry.outcome = "failed";
    entry.reason = code ? last_error(directory_.output(order_.trial))
                        : fmt::format("killed by signal {} ({})", process_.signal(),
                                      ::strsignal(process_.signal()));
    if (entry.reason.empty()) entry.reason = fmt::format("exit code {}", code.value_or(-1));
  }
  directory_.write(order_.trial, entry);
  return entry;
}

bool is_job_variable(const std::string& name) {
  for (const auto* exact : {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK",
                            "ROLE_RANK", "XCEPTION_LAUNCHER"}) {
    if (name == exact) return true;
  }
  for (const auto* prefix : {"MASTER_", "TORCHELASTIC_", "SLURM_"}) {
    if (name.starts_with(prefix)) return true;
  }
  return false;
}

}  // namespace xception
