#include "local_launcher.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "status_table.h"
#include "xception/core/child_process.h"
#include "xception/core/log.h"
#include "xception/core/signals.h"
#include "xception/sweep/trial_process.h"

namespace xception {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

/// The trials of a sweep and the processes that run them.
class LocalLauncher {
 public:
  LocalLauncher(const SweepDirectory& directory, const SweepDescription& description,
                Scheduler& scheduler, const LocalLimits& limits)
      : directory_(directory),
        description_(description),
        scheduler_(scheduler),
        limits_(limits),
        slots_(static_cast<std::size_t>(limits.jobs)) {}

  int run() {
    while (true) {
      reap();
      if (stop_ == 0 && !out_of_time()) fill();
      if (busy() == 0) break;
      table_.show(directory_, description_);
      const auto [number, from_terminal] = signals_.wait(milliseconds(200));
      if (is_stop_signal(number)) stop(number, from_terminal);
      if (number == SIGUSR1) save();
    }
    table_.clear();
    return stop_;
  }

 private:
  struct Slot {
    std::unique_ptr<TrialProcess> process;
    Task task;
  };

  [[nodiscard]] std::int64_t busy() const {
    return std::count_if(slots_.begin(), slots_.end(),
                         [](const Slot& slot) { return slot.process != nullptr; });
  }

  void reap() {
    for (auto& slot : slots_) {
      if (!slot.process || !slot.process->ended()) continue;
      const auto process = std::move(slot.process);
      const auto entry = process->finish(description_.metric);
      const auto& trial = description_.trials[slot.task.trial];
      const auto status = read_status(directory_, description_, trial);
      announce(trial, status, entry);
      const bool over = status.state == TrialState::failed;
      if (entry.outcome == "complete" || entry.outcome == "paused" || over) {
        scheduler_.finished(slot.task.trial, progress_of(status, trial, description_.metric));
      } else {
        scheduler_.put_back(slot.task);
      }
    }
  }

  void announce(const SweepDescription::Entry& trial, const TrialStatus& status,
                const JournalEntry& entry) {
    table_.clear();
    const auto& metric = description_.metric.name;
    std::string text = entry.outcome;
    if (entry.outcome == "failed") {
      text = fmt::format(
          "failed{}: {}",
          status.state == TrialState::failed
              ? ""
              : fmt::format(" ({} of {} retries)", status.failures, description_.retries),
          entry.reason);
    } else if (status.result.metric) {
      text += fmt::format(", {} {:.4f}", metric, *status.result.metric);
    }
    spdlog::info("{}: {} ({} of {} epochs, {:.0f} s)", trial.name, text, status.result.epochs,
                 trial.epochs, entry.seconds);
  }

  void fill() {
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      auto& slot = slots_[i];
      if (slot.process) continue;
      const auto task = scheduler_.next();
      if (!task) return;
      const auto& trial = description_.trials[task->trial];
      const auto result = directory_.read_result(trial.name, description_.metric);
      const auto more = std::max<std::int64_t>(0, task->until_epoch - result.epochs);
      if (limits_.max_epochs > 0 && epochs_spent() + more > limits_.max_epochs) {
        say_limit(fmt::format("limits.epochs {}", limits_.max_epochs));
        stopped_starting_ = true;
        scheduler_.put_back(*task);
        return;
      }
      slot.task = *task;
      slot.process = std::make_unique<TrialProcess>(
          directory_, TrialOrder{.trial = trial.name,
                                 .epochs = trial.epochs,
                                 .until_epoch = task->until_epoch,
                                 .device = limits_.devices[i % limits_.devices.size()],
                                 .threads = limits_.threads});
    }
  }

  /// Epochs that all trials have, and those that the running ones are about to have.
  [[nodiscard]] std::int64_t epochs_spent() const {
    std::int64_t epochs = 0;
    for (std::size_t i = 0; i < description_.trials.size(); ++i) {
      auto done = directory_.read_result(description_.trials[i].name, description_.metric).epochs;
      for (const auto& slot : slots_) {
        if (slot.process && slot.task.trial == i) done = std::max(done, slot.task.until_epoch);
      }
      epochs += done;
    }
    return epochs;
  }

  /// Whether nothing new may start; running trials are told to save when the time is over.
  bool out_of_time() {
    const auto hours =
        std::chrono::duration<double, std::ratio<3600>>(Clock::now() - start_).count();
    if (limits_.max_hours == 0.0 || hours < limits_.max_hours || hours_over_) {
      return stopped_starting_;
    }
    hours_over_ = true;
    say_limit(fmt::format("limits.hours {:g}", limits_.max_hours));
    stopped_starting_ = true;
    for (auto& slot : slots_) {
      if (slot.process) slot.process->send(SIGTERM);
    }
    return true;
  }

  void say_limit(const std::string& limit) {
    table_.clear();
    spdlog::info("{} is reached: no more trials start; raise it and --resume to go on", limit);
  }

  /// The running trials save and go on.
  void save() {
    for (auto& slot : slots_) {
      if (slot.process) slot.process->send(SIGUSR1);
    }
  }

  void stop(int number, bool from_terminal) {
    const bool again = stop_ != 0;
    stop_ = number;
    if (!again) {
      table_.clear();
      spdlog::info("stopping: the running trials save");
    }
    for (auto& slot : slots_) {
      // A terminal's Ctrl-C reaches them by itself.
      if (slot.process && !(number == SIGINT && from_terminal)) slot.process->send(SIGTERM);
      if (slot.process && again) slot.process->send(SIGKILL);
    }
  }

  SignalQueue signals_;
  const SweepDirectory& directory_;
  const SweepDescription& description_;
  Scheduler& scheduler_;
  LocalLimits limits_;
  std::vector<Slot> slots_;
  StatusTable table_;
  Clock::time_point start_ = Clock::now();
  bool stopped_starting_ = false;
  bool hours_over_ = false;
  int stop_ = 0;
};

}  // namespace

int run_locally(const SweepDirectory& directory, const SweepDescription& description,
                Scheduler& scheduler, const LocalLimits& limits) {
  return LocalLauncher(directory, description, scheduler, limits).run();
}

TrialProgress progress_of(const TrialStatus& status, const SweepDescription::Entry& trial,
                          const Metric& metric) {
  TrialProgress progress;
  progress.epochs = trial.epochs;
  progress.done = status.result.epochs;
  progress.complete = status.state == TrialState::complete;
  progress.failed = status.state == TrialState::failed;
  progress.unfinished = status.unfinished;
  std::optional<double> best;
  for (const auto& value : status.result.by_epoch) {
    const bool better = value && std::isfinite(*value) &&
                        (!best || (metric.maximize ? *value > *best : *value < *best));
    if (better) best = value;
    progress.metric.push_back(best);
  }
  return progress;
}

}  // namespace xception
