#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "xception/bench/operators.h"
#include "xception/bench/phase_clock.h"
#include "xception/bench/plan.h"
#include "xception/bench/spread.h"
#include "xception/models/complexity.h"
#include "xception/train/execution.h"

namespace xception {

/// How far a case came.
enum class CaseStatus { not_run, done, interrupted, out_of_memory, failed };

/// `not run`, `done`, ...
[[nodiscard]] const char* status_name(CaseStatus status);

/// What was measured of one case.
struct CaseResult {
  BenchCase item = {};
  bool searched = false;  ///< its batch was found, not given
  CaseStatus status = CaseStatus::not_run;
  std::string error = {};  ///< why it failed
  Complexity complexity = {};
  std::optional<Execution> execution = {};  ///< what the steps really were
  std::int64_t window_steps = 0;
  std::vector<double> images_per_second = {};      ///< of each window
  std::vector<PhaseTimes> split = {};              ///< of each step with a probe
  std::optional<std::int64_t> peak_memory = {};    ///< bytes, of this case alone
  OperatorCount operators = {};                    ///< of one step
  std::map<std::string, KernelTime> kernels = {};  ///< of one step, on a GPU

  /// Of all kernels; nothing where none were timed.
  [[nodiscard]] std::optional<std::int64_t> kernel_launches() const;
};

/// What the machine was able to do, measured once a round between the windows.
struct MachineRates {
  std::map<std::string, std::vector<double>> products = {};  ///< FLOP/s by precision
  std::vector<double> copies = {};                           ///< bytes/s
};

/// All that a benchmark found out.
struct BenchResults {
  BenchMode mode = BenchMode::train;
  torch::Device device = torch::kCPU;
  std::string data = {};                    ///< the data set's name
  nlohmann::ordered_json environment = {};  ///< describe_environment, at the start
  std::vector<std::string> command_line = {};
  std::int64_t windows = 0;       ///< asked for
  int signal = 0;                 ///< that stopped it, or 0
  std::string device_fault = {};  ///< that ended it, or empty
  MachineRates machine = {};
  std::vector<CaseResult> cases = {};
};

/// What follows from a case's measurements. What can't be had is nothing.
struct CaseFigures {
  Spread images_per_second = {};
  double step_milliseconds = 0.0;  ///< of the windows' steps, at the median
  PhaseTimes split = {};           ///< medians over the steps with a probe
  std::int64_t step_flops = 0;     ///< 2 a multiply-add; a training step is 3 forward passes
  std::optional<double> flops_per_second = {};
  std::optional<double> peak_share = {};  ///< of the machine's matrix product in that precision
  std::optional<double> bytes_per_second = {};  ///< operand traffic
  std::optional<double> copy_share = {};        ///< of the machine's copy
};

[[nodiscard]] CaseFigures figures_of(const CaseResult& result, BenchMode mode,
                                     const MachineRates& machine);

/// The cases' places: measured ones by images a second, the fastest first, then the others as they
/// were planned.
[[nodiscard]] std::vector<std::size_t> order_by_speed(const std::vector<CaseResult>& cases);

}  // namespace xception
