#include "xception/sweep/scheduler.h"

#include <algorithm>
#include <cmath>
#include <deque>

namespace xception {
namespace {

class RunAll : public Scheduler {
 public:
  explicit RunAll(const std::vector<TrialProgress>& trials) {
    for (std::size_t i = 0; i < trials.size(); ++i) {
      if (!trials[i].complete && !trials[i].failed) queue_.push_back({i, trials[i].epochs});
    }
  }

  std::optional<Task> next() override {
    if (queue_.empty()) return std::nullopt;
    const auto task = queue_.front();
    queue_.pop_front();
    return task;
  }
  void finished(std::size_t, const TrialProgress&) override {}
  void put_back(const Task& task) override { queue_.push_front(task); }

 private:
  std::deque<Task> queue_;
};

class Halve : public Scheduler {
 public:
  Halve(const std::vector<TrialProgress>& trials, const HalvingConfig& halving, bool maximize)
      : halving_(halving),
        maximize_(maximize),
        trials_(trials),
        reached_(trials.size(), -1),
        busy_(trials.size(), false) {
    for (std::size_t i = 0; i < trials_.size(); ++i) {
      note(i);
      // A promotion that was under way stands, whatever has come in since.
      if (trials_[i].unfinished == 0 || trials_[i].complete || trials_[i].failed) continue;
      busy_[i] = true;
      again_.push_back({i, trials_[i].unfinished});
    }
  }

  std::optional<Task> next() override {
    if (!again_.empty()) {
      const auto task = again_.front();
      again_.pop_front();
      return task;
    }
    std::int64_t top = -1;
    for (const auto rung : reached_) top = std::max(top, rung);
    for (auto rung = top; rung >= 0; --rung) {
      if (const auto trial = promotable(rung)) return start(*trial, rung + 1);
    }
    // The lowest rung takes whoever hasn't begun, in order.
    for (std::size_t i = 0; i < trials_.size(); ++i) {
      if (reached_[i] < 0 && !busy_[i] && !trials_[i].failed) return start(i, 0);
    }
    return std::nullopt;
  }

  void finished(std::size_t trial, const TrialProgress& progress) override {
    busy_[trial] = false;
    trials_[trial] = progress;
    note(trial);
  }

  void put_back(const Task& task) override {
    again_.push_back(task);  // still busy: nothing else may start it
  }

 private:
  /// The highest rung whose epochs a trial has; the last one only when it is complete.
  void note(std::size_t trial) {
    const auto& progress = trials_[trial];
    const auto rungs = rung_epochs(halving_, progress.epochs);
    reached_[trial] = -1;
    for (std::size_t rung = 0; rung < rungs.size(); ++rung) {
      const bool last = rung + 1 == rungs.size();
      if (last ? progress.complete : progress.done >= rungs[rung]) {
        reached_[trial] = static_cast<std::int64_t>(rung);
      }
    }
  }

  std::optional<Task> start(std::size_t trial, std::int64_t rung) {
    busy_[trial] = true;
    const auto rungs = rung_epochs(halving_, trials_[trial].epochs);
    return Task{trial, rungs[static_cast<std::size_t>(rung)]};
  }

  [[nodiscard]] std::optional<double> metric_at(std::size_t trial, std::int64_t rung) const {
    const auto rungs = rung_epochs(halving_, trials_[trial].epochs);
    const auto epoch = static_cast<std::size_t>(rungs[static_cast<std::size_t>(rung)]);
    const auto& values = trials_[trial].metric;
    // One that stopped early has on later rungs what it ended with.
    if (trials_[trial].complete && !values.empty() && epoch > values.size()) return values.back();
    if (epoch == 0 || epoch > values.size()) return std::nullopt;
    return values[epoch - 1];
  }

  /// The best trial that stands on a rung and belongs to the best 1 / reduction of those that were
  /// there.
  [[nodiscard]] std::optional<std::size_t> promotable(std::int64_t rung) const {
    std::vector<std::size_t> there;
    for (std::size_t i = 0; i < trials_.size(); ++i) {
      if (reached_[i] >= rung && metric_at(i, rung)) there.push_back(i);
    }
    std::stable_sort(there.begin(), there.end(), [&](std::size_t a, std::size_t b) {
      const auto x = *metric_at(a, rung);
      const auto y = *metric_at(b, rung);
      return maximize_ ? x > y : x < y;
    });
    const auto best = there.size() / static_cast<std::size_t>(halving_.reduction);
    for (std::size_t i = 0; i < best; ++i) {
      const auto trial = there[i];
      const auto last = rung_epochs(halving_, trials_[trial].epochs).size() - 1;
      if (reached_[trial] == rung && static_cast<std::size_t>(rung) < last && !busy_[trial] &&
          !trials_[trial].failed) {
        return trial;
      }
    }
    return std::nullopt;
  }

  HalvingConfig halving_;
  bool maximize_;
  std::vector<TrialProgress> trials_;
  std::vector<std::int64_t> reached_;  ///< rung of each trial; -1: none yet
  std::vector<bool> busy_;
  std::deque<Task> again_;
};

}  // namespace

std::unique_ptr<Scheduler> run_all(const std::vector<TrialProgress>& trials) {
  return std::make_unique<RunAll>(trials);
}

std::unique_ptr<Scheduler> halve(const std::vector<TrialProgress>& trials,
                                 const HalvingConfig& halving, bool maximize) {
  return std::make_unique<Halve>(trials, halving, maximize);
}

TrialNeeds trials_to_complete(const HalvingConfig& halving, std::int64_t epochs) {
  // The first to leave a rung does when `reduction` trials are there; after that each that comes
  // may be the best so far.
  TrialNeeds needs;
  for (std::size_t rung = 1; rung < rung_epochs(halving, epochs).size(); ++rung) {
    needs.fewest += halving.reduction - 1;
    needs.enough *= halving.reduction;
  }
  return needs;
}

std::vector<std::int64_t> rung_epochs(const HalvingConfig& halving, std::int64_t epochs) {
  std::vector<std::int64_t> rungs;
  for (auto rung = halving.min_epochs; rung < epochs; rung *= halving.reduction) {
    rungs.push_back(rung);
  }
  rungs.push_back(epochs);
  return rungs;
}

}  // namespace xception
