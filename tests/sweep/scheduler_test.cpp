// Which trial runs next: all in order, and asynchronous successive halving.
#include "xception/sweep/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace xception {
namespace {

using testing::ElementsAre;

TEST(RungEpochs, GrowByTheReductionUpToTheEnd) {
  EXPECT_THAT(rung_epochs({1, 3}, 10), ElementsAre(1, 3, 9, 10));
  EXPECT_THAT(rung_epochs({2, 2}, 8), ElementsAre(2, 4, 8));
  EXPECT_THAT(rung_epochs({5, 3}, 5), ElementsAre(5));
  EXPECT_THAT(rung_epochs({7, 3}, 5), ElementsAre(5));
}

TEST(RunAll, TakesTheOpenOnesInOrder) {
  std::vector<TrialProgress> trials(4);
  for (auto& trial : trials) trial.epochs = 3;
  trials[1].complete = true;
  const auto scheduler = run_all(trials);
  const auto first = scheduler->next();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->trial, 0U);
  EXPECT_EQ(first->until_epoch, 3);
  EXPECT_EQ(scheduler->next()->trial, 2U);
  scheduler->put_back(*first);
  EXPECT_EQ(scheduler->next()->trial, 0U);  // what was interrupted goes first
  EXPECT_EQ(scheduler->next()->trial, 3U);
  EXPECT_FALSE(scheduler->next());
}

/// Trials whose metric after epoch e is quality + e / 100, trained by some workers that take
/// equally long for an epoch.
struct Simulation {
  std::vector<double> quality;
  std::int64_t epochs = 9;
  HalvingConfig halving{1, 3};
  bool maximize = true;
  std::map<std::size_t, std::vector<std::int64_t>> stops = {};  ///< where each trial stopped

  [[nodiscard]] TrialProgress progress(std::size_t trial, std::int64_t done) const {
    TrialProgress result;
    result.epochs = epochs;
    result.done = done;
    result.complete = done == epochs;
    for (std::int64_t e = 1; e <= done; ++e) {
      result.metric.emplace_back((maximize ? 1.0 : -1.0) *
                                 (quality[trial] + static_cast<double>(e) / 100.0));
    }
    return result;
  }

  /// Returns the epochs trained in all. fail_at: the trial whose first task is put back once.
  std::int64_t run(std::size_t workers, std::optional<std::size_t> fail_at = {}) {
    std::vector<TrialProgress> start;
    for (std::size_t i = 0; i < quality.size(); ++i) start.push_back(progress(i, 0));
    const auto scheduler = halve(start, halving, maximize);
    std::vector<std::int64_t> done(quality.size(), 0);
    std::multimap<std::int64_t, Task> running;  // by the time of their end
    std::set<std::size_t> busy;
    std::int64_t now = 0;
    std::int64_t total = 0;
    while (true) {
      while (running.size() < workers) {
        const auto task = scheduler->next();
        if (!task) break;
        EXPECT_TRUE(busy.insert(task->trial).second) << "runs twice at once";
        if (fail_at == task->trial) {
          fail_at.reset();
          busy.erase(task->trial);
          scheduler->put_back(*task);
          continue;
        }
        EXPECT_GT(task->until_epoch, done[task->trial]);
        running.emplace(now + task->until_epoch - done[task->trial], *task);
      }
      if (running.empty()) return total;
      const auto [end, task] = *running.begin();
      running.erase(running.begin());
      now = end;
      total += task.until_epoch - done[task.trial];
      done[task.trial] = task.until_epoch;
      stops[task.trial].push_back(task.until_epoch);
      busy.erase(task.trial);
      scheduler->finished(task.trial, progress(task.trial, task.until_epoch));
    }
  }
};

TEST(Halving, OneWorkerHalvesAsSynchronousHalvingDoes) {
  // With one worker and the best first, nothing is promoted that shouldn't be.
  Simulation simulation{.quality = {0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1}};
  const auto total = simulation.run(1);
  EXPECT_THAT(simulation.stops[0], ElementsAre(1, 3, 9));
  EXPECT_THAT(simulation.stops[8], ElementsAre(1));
  // Nine at rung 1, three at rung 3, one at 9: 9 + 3 * 2 + 6.
  EXPECT_EQ(total, 21);
}

TEST(Halving, TheBestReachesTheEndInAnyOrder) {
  for (const std::size_t workers : {1U, 2U, 4U}) {
    std::vector<double> quality = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};
    do {
      Simulation simulation{.quality = quality};
      const auto total = simulation.run(workers);
      const auto best = static_cast<std::size_t>(std::max_element(quality.begin(), quality.end()) -
                                                 quality.begin());
      EXPECT_EQ(simulation.stops[best].back(), 9);
      EXPECT_LT(total, 9 * 9);
      EXPECT_EQ(simulation.stops.size(), 9U);  // everybody gets a chance
      std::rotate(quality.begin(), quality.begin() + 1, quality.end());
    } while (quality[0] != 0.1);
  }
}

TEST(Halving, MinimizesToo) {
  Simulation simulation{.quality = {0.1, 0.2, 0.9}, .epochs = 3, .maximize = false};
  simulation.run(1);
  EXPECT_THAT(simulation.stops[2], ElementsAre(1, 3));
  EXPECT_THAT(simulation.stops[0], ElementsAre(1));
}

TEST(Halving, OfTooFewTrialsNoneReachesTheEnd) {
  const auto needs = trials_to_complete({1, 3}, 9);
  EXPECT_EQ(needs.fewest, 5);
  EXPECT_EQ(needs.enough, 9);
  EXPECT_EQ(trials_to_complete({1, 3}, 3).fewest, 3);
  EXPECT_EQ(trials_to_complete({1, 2}, 3).fewest, 3);  // two rungs, at epochs 1 and 2
  EXPECT_EQ(trials_to_complete({3, 3}, 3).enough, 1);  // no rung
  const auto reaches_the_end = [](const std::vector<double>& quality) {
    Simulation simulation{.quality = quality};
    simulation.run(1);
    return std::any_of(simulation.stops.begin(), simulation.stops.end(),
                       [](const auto& stops) { return stops.second.back() == 9; });
  };
  EXPECT_TRUE(reaches_the_end({0.1, 0.2, 0.3, 0.4, 0.5}));
  std::vector<double> quality = {0.1, 0.2, 0.3, 0.4};
  do {
    EXPECT_FALSE(reaches_the_end(quality)) << testing::PrintToString(quality);
  } while (std::next_permutation(quality.begin(), quality.end()));
}

TEST(Halving, WhatWasPutBackIsRunAgain) {
  Simulation simulation{.quality = {0.3, 0.2, 0.1}, .epochs = 3};
  simulation.run(2, 1);
  EXPECT_THAT(simulation.stops[1], ElementsAre(1));
}

TEST(Halving, GoesOnWhereItWas) {
  Simulation simulation{.quality = {0.9, 0.5, 0.1}, .epochs = 3};
  // All stand at the first rung; one of three may go on.
  const auto scheduler =
      halve({simulation.progress(0, 1), simulation.progress(1, 1), simulation.progress(2, 1)},
            simulation.halving, true);
  const auto task = scheduler->next();
  ASSERT_TRUE(task);
  EXPECT_EQ(task->trial, 0U);
  EXPECT_EQ(task->until_epoch, 3);
  EXPECT_FALSE(scheduler->next());
}

TEST(Halving, ATrialThatStoppedEarlyStandsOnEveryRung) {
  const Simulation simulation{.quality = {0.9, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8}};
  std::vector<TrialProgress> trials;
  for (std::size_t i = 0; i < 9; ++i) trials.push_back(simulation.progress(i, 3));
  trials[0] = simulation.progress(0, 2);  // by its own patience
  trials[0].complete = true;
  const auto scheduler = halve(trials, {1, 3}, true);
  // It is the best of nine on the second rung, which lets three on: two others go to the end.
  const auto first = scheduler->next();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->trial, 8U);
  EXPECT_EQ(first->until_epoch, 9);
  EXPECT_EQ(scheduler->next()->trial, 7U);
  EXPECT_FALSE(scheduler->next());
}

TEST(Halving, APromotionThatWasCutOffGoesOn) {
  Simulation simulation{.quality = {0.5, 0.4, 0.3, 0.9, 0.1}, .epochs = 9};
  std::vector<TrialProgress> trials;
  for (std::size_t i = 0; i < 5; ++i) trials.push_back(simulation.progress(i, 1));
  trials[0].unfinished = 3;  // the best of the first three, when the sweep was killed
  const auto scheduler = halve(trials, simulation.halving, true);
  const auto first = scheduler->next();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->trial, 0U);
  EXPECT_EQ(first->until_epoch, 3);
  EXPECT_EQ(scheduler->next()->trial, 3U);  // the best of five now
  EXPECT_FALSE(scheduler->next());
}

}  // namespace
}  // namespace xception
