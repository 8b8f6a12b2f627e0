#pragma once

#include <cstdint>

#include "xception/bench/plan.h"
#include "xception/bench/results.h"
#include "xception/bench/workload.h"

// What comes before a case is measured.
namespace xception {

/// Seconds for so many steps, the device's end included; less than asked if stopped.
[[nodiscard]] double time_steps(Workload& workload, std::int64_t steps, std::int64_t batch,
                                const torch::Device& device);

/// Refuses a case whose step would take more than the machine has: a GPU says so itself, where a
/// machine that runs out of memory stops somebody. Errors (run): it would, with both figures.
void check_memory(Workload& workload, const CaseResult& result, const torch::Device& device);

/// Steps until a step is as fast as it will be. Notes the memory that a step takes (used_before:
/// the device's bytes in use before the case was built), its operators, and the steps of a window.
void warm_up(Workload& workload, CaseResult& result, const BenchRequest& request,
             const torch::Device& device, std::int64_t used_before);

}  // namespace xception
