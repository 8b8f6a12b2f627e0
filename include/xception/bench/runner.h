#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "xception/bench/plan.h"
#include "xception/bench/results.h"
#include "xception/bench/workload.h"

namespace xception {

/// Measures the cases of a plan, interleaved.
///
/// As many cases as fit in memory beside each other form a group: all are built and warmed up, then
/// come window 1 of each, window 2 of each, ..., and in each round the machine's own matrix product
/// and copy, so that a clock that drifts is fair to all. A case that doesn't fit beside others
/// waits for the next group; one that doesn't fit alone is noted as out of memory.
///
/// A stop signal (StopSignals) ends it after the step that is going on; a fault of the GPU, which
/// no later step survives, at once.
class BenchRunner {
 public:
  /// The results are filled in as they come; their cases are the plan's.
  BenchRunner(const BenchPlan& plan, const BenchRequest& request, const Dataset& dataset,
              BenchResults& results);

  void run();

 private:
  /// A case that is built.
  struct Active {
    CaseResult* result = nullptr;
    std::unique_ptr<Workload> workload = {};
  };

  /// Finds the batches that were left to `auto`.
  void find_batches();
  /// Builds what fits of `waiting` and measures it. Returns those that wait for the next group.
  std::vector<CaseResult*> run_group(const std::vector<CaseResult*>& waiting);
  /// Whether the machine surely has no room for one more case beside the group.
  [[nodiscard]] bool is_full(const std::vector<Active>& group) const;
  /// Whether a stop signal or a fault of the GPU ends it all.
  [[nodiscard]] bool over() const;
  /// Builds and warms up. Throws where it fails; what was built stays with the case until then.
  void begin_case(Active& active);
  /// Takes a case that failed out of the group. After a fault of the GPU it stays, since what lies
  /// there can't be given back.
  void drop(std::vector<Active>& group, std::size_t place, const std::string& failure,
            std::vector<CaseResult*>& next);
  /// Runs the windows of a group. A case that fails leaves the group.
  void measure(std::vector<Active>& group, std::vector<CaseResult*>& next);
  void measure_split(Active& active) const;
  void measure_window(Active& active) const;
  /// Leaves it out where the cases leave no memory for it.
  void try_measure_machine(const std::vector<Active>& group);
  void measure_machine(const std::vector<Active>& group);
  /// On a GPU a step before what is timed.
  void settle(Active& active) const;
  /// Notes why a case failed, or lets it wait for a group of its own.
  void note_failure(CaseResult& result, const std::string& text, bool memory, bool alone,
                    std::vector<CaseResult*>& next) const;
  void show(const std::string& what, const CaseResult& result);

  const BenchPlan& plan_;
  const BenchRequest& request_;
  const Dataset& dataset_;
  BenchResults& results_;
  std::int64_t largest_peak_ = 0;  ///< of the cases so far, bytes
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::int64_t units_done_ = 0;  ///< of the progress line: a warm-up, a split, a window
};

}  // namespace xception
