#include "xception/bench/runner.h"

#include <algorithm>
#include <functional>
#include <set>

#include "warm_up.h"
#include "xception/bench/fit.h"
#include "xception/bench/machine.h"
#include "xception/core/error.h"
#include "xception/core/first_line.h"
#include "xception/core/format.h"
#include "xception/core/log.h"
#include "xception/core/memory.h"
#include "xception/core/signals.h"
#include "xception/parallel/device_memory.h"
#include "xception/parallel/failure_cause.h"
#include "xception/train/precision.h"

namespace xception {
namespace {

/// Steps with a probe: enough for a median.
constexpr std::int64_t kSplitSteps = 20;
/// The machine's own rates are measured for no longer than this, a round.
constexpr double kMachineSeconds = 0.2;

/// An error's first line, without the words that the status says already.
std::string reason_of(const std::string& text) {
  std::string line = first_line(text);
  for (const std::string start : {"[bench] ", "out of memory: "}) {
    if (line.starts_with(start)) line.erase(0, start.size());
  }
  return line;
}

}  // namespace

BenchRunner::BenchRunner(const BenchPlan& plan, const BenchRequest& request, const Dataset& dataset,
                         BenchResults& results)
    : plan_(plan), request_(request), dataset_(dataset), results_(results) {
  for (const auto& item : plan.cases) results_.cases.push_back({.item = item});
}

bool BenchRunner::over() const {
  return StopSignals::received() != 0 || !results_.device_fault.empty();
}

void BenchRunner::run() {
  find_batches();
  std::vector<CaseResult*> waiting;
  for (auto& result : results_.cases) {
    if (result.item.batch > 0) waiting.push_back(&result);
  }
  while (!waiting.empty() && !over()) waiting = run_group(waiting);
  StatusLine::clear();
}

void BenchRunner::find_batches() {
  for (auto& result : results_.cases) {
    if (result.item.batch > 0 || over()) continue;
    result.searched = true;
    const auto images = dataset_.images->size(Split::train);
    std::int64_t batch = 0;
    try {
      batch = largest_batch_that_fits(result.item, plan_.mode, dataset_, plan_.device,
                                      std::min(plan_.max_batch, images));
    } catch (const Error&) {
      throw;
    } catch (const std::exception& error) {
      StatusLine::clear();
      result.status = CaseStatus::failed;
      result.error = reason_of(error.what());
      if (cause_of(error.what(), plan_.device) == FailureCause::device_fault) {
        results_.device_fault = result.error;
        return;
      }
      continue;
    }
    StatusLine::clear();
    if (over()) return;
    if (batch == 0) {
      result.status = CaseStatus::out_of_memory;
      result.error = "not even a batch of 2 fits";
      continue;
    }
    set_batch(result.item, batch);
    spdlog::info("{}: the largest batch that fits{}", case_name(result.item, plan_.mode),
                 batch == plan_.max_batch ? ", or larger (--max-batch)" : "");
  }
  release_unused_memory(plan_.device);
}

bool BenchRunner::is_full(const std::vector<Active>& group) const {
  // A GPU says so itself; a machine that runs out of memory stops somebody.
  if (group.empty() || plan_.device.is_cuda()) return false;
  return available_memory_bytes(plan_.device) < largest_peak_ + largest_peak_ / 2;
}

std::vector<CaseResult*> BenchRunner::run_group(const std::vector<CaseResult*>& waiting) {
  std::vector<CaseResult*> next;
  std::vector<Active> group;
  for (auto* result : waiting) {
    if (over()) break;
    if (is_full(group)) {
      next.push_back(result);
      continue;
    }
    show("warm-up", *result);
    std::string failure;
    group.push_back({.result = result});
    try {
      begin_case(group.back());
    } catch (const Error& error) {
      if (error.kind() == Error::Kind::input) throw;
      failure = error.what();
    } catch (const std::exception& error) {
      failure = error.what();
    }
    largest_peak_ = std::max(largest_peak_, result->peak_memory.value_or(0));
    if (!failure.empty()) drop(group, group.size() - 1, failure, next);
  }
  measure(group, next);
  // What lies on a GPU in a bad state can't be given back.
  if (!results_.device_fault.empty()) {
    for (auto& active : group) (void)active.workload.release();
    return {};
  }
  group.clear();
  release_unused_memory(plan_.device);
  return next;
}

void BenchRunner::begin_case(Active& active) {
  auto& result = *active.result;
  release_unused_memory(plan_.device);
  const auto used_before = used_memory_bytes(plan_.device);
  active.workload = build_workload(plan_.mode, result.item.config, dataset_, plan_.device);
  result.complexity = active.workload->complexity();
  check_memory(*active.workload, result, plan_.device);
  warm_up(*active.workload, result, request_, plan_.device, used_before);
}

void BenchRunner::drop(std::vector<Active>& group, std::size_t place, const std::string& failure,
                       std::vector<CaseResult*>& next) {
  auto& result = *group[place].result;
  const auto cause = cause_of(failure, plan_.device);
  if (cause == FailureCause::device_fault) {
    results_.device_fault = reason_of(failure);
    result.status = CaseStatus::failed;
    result.error = results_.device_fault;
    return;
  }
  group.erase(group.begin() + static_cast<std::ptrdiff_t>(place));
  release_unused_memory(plan_.device);
  note_failure(result, failure, cause == FailureCause::memory, group.empty(), next);
}

void BenchRunner::note_failure(CaseResult& result, const std::string& text, bool memory, bool alone,
                               std::vector<CaseResult*>& next) const {
  if (memory && !alone) {
    spdlog::info("{}: doesn't fit beside the others; measured after them",
                 case_name(result.item, plan_.mode));
    result = {.item = result.item, .searched = result.searched};
    next.push_back(&result);
    return;
  }
  result.status = memory ? CaseStatus::out_of_memory : CaseStatus::failed;
  result.error = reason_of(text);
}

void BenchRunner::measure(std::vector<Active>& group, std::vector<CaseResult*>& next) {
  const auto each = [&](const std::string& what, const std::function<void(Active&)>& work) {
    for (std::size_t i = 0; i < group.size() && !over();) {
      show(what, *group[i].result);
      std::string failure;
      try {
        work(group[i]);
      } catch (const std::exception& error) {
        failure = error.what();
      }
      if (failure.empty()) {
        ++i;
        continue;
      }
      drop(group, i, failure, next);
    }
  };
  each("split", [&](Active& active) { measure_split(active); });
  for (std::int64_t window = 1; window <= request_.windows; ++window) {
    each(fmt::format("window {} of {}", window, request_.windows),
         [&](Active& active) { measure_window(active); });
    if (!over() && !group.empty()) try_measure_machine(group);
  }
  if (plan_.device.is_cuda()) {
    each("kernels", [&](Active& active) {
      // With a probe a step runs as it is: kernels that a graph launches are mistimed.
      PhaseClock probe(plan_.device);
      const auto step = [&] { active.workload->run(1, active.result->item.batch, &probe); };
      if (request_.profile_range) {
        in_profiler_range(plan_.device, "step", step);
      } else {
        active.result->kernels = time_kernels(plan_.device, step);
      }
    });
  }
  for (auto& active : group) {
    if (active.result->status == CaseStatus::failed) continue;
    active.result->execution = active.workload->execution();
    const auto windows = static_cast<std::int64_t>(active.result->images_per_second.size());
    if (windows == 0) continue;
    active.result->status =
        windows == request_.windows ? CaseStatus::done : CaseStatus::interrupted;
  }
}

void BenchRunner::settle(Active& active) const {
  // Another case may have had the allocator's blocks, and a GPU would begin without work queued.
  if (plan_.device.is_cuda()) active.workload->run(1, active.result->item.batch);
}

void BenchRunner::measure_split(Active& active) const {
  auto& result = *active.result;
  const auto steps = std::min(result.window_steps, kSplitSteps);
  PhaseClock clock(plan_.device);
  active.workload->prepare((steps + 1) * result.item.batch);
  settle(active);
  active.workload->run(steps, result.item.batch, &clock);
  result.split = clock.take();
}

void BenchRunner::measure_window(Active& active) const {
  auto& result = *active.result;
  const auto images = result.window_steps * result.item.batch;
  active.workload->prepare(images + result.item.batch);
  settle(active);
  const auto seconds =
      time_steps(*active.workload, result.window_steps, result.item.batch, plan_.device);
  if (!over()) result.images_per_second.push_back(static_cast<double>(images) / seconds);
}

void BenchRunner::try_measure_machine(const std::vector<Active>& group) {
  try {
    measure_machine(group);
  } catch (const std::exception& error) {
    if (!is_out_of_memory(error.what())) throw;  // else the cases left no room for it
  }
}

void BenchRunner::measure_machine(const std::vector<Active>& group) {
  std::set<std::string> precisions;
  for (const auto& active : group) {
    if (active.workload->model() != nullptr) precisions.insert(active.result->item.precision);
  }
  // What it frees stays with the allocator: the next window would pay for its return.
  const double seconds = std::min(kMachineSeconds, request_.window_seconds);
  for (const auto& name : precisions) {
    const auto precision = parse_precision(name);
    const auto dtype = precision.autocast ? precision.autocast_dtype : precision.parameters;
    results_.machine.products[name].push_back(measure_matrix_product(
        plan_.device, dtype, /*short_mantissa=*/plan_.mode == BenchMode::train, seconds));
  }
  results_.machine.copies.push_back(measure_copy(plan_.device, seconds));
}

void BenchRunner::show(const std::string& what, const CaseResult& result) {
  const auto units = static_cast<std::int64_t>(results_.cases.size()) * (request_.windows + 2);
  std::string left;
  if (units_done_ > 0 && units_done_ < units) {
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start_;
    const double each = passed.count() / static_cast<double>(units_done_);
    left = fmt::format(", about {} left",
                       format_duration(each * static_cast<double>(units - units_done_)));
  }
  ++units_done_;
  const auto& speeds = result.images_per_second;
  StatusLine::show(
      fmt::format("{}: {}{}{}", what, case_name(result.item, plan_.mode),
                  speeds.empty() ? "" : fmt::format(": {:.1f} images/s", speeds.back()), left));
}

}  // namespace xception
