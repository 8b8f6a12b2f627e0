#pragma once

#include <c10/core/Event.h>
#include <torch/types.h>

#include <array>
#include <chrono>
#include <optional>
#include <vector>

#include "xception/train/step_probe.h"

namespace xception {

/// Milliseconds of each phase of a step, by StepPhase; `start`'s is 0.
using PhaseTimes = std::array<double, 7>;

/// The name of a phase: `data`, `forward`, ...
[[nodiscard]] const char* phase_name(StepPhase phase);
/// All but `start`, in order.
[[nodiscard]] const std::vector<StepPhase>& step_phases();

/// Takes the time of steps' phases: on the CPU a steady clock's, on a GPU that of events in its
/// stream, so that the step is not made to wait and what the host does in the meantime counts only
/// where the GPU waits for it.
class PhaseClock : public StepProbe {
 public:
  explicit PhaseClock(const torch::Device& device) : device_(device) {}

  void mark(StepPhase ended) override;

  /// The steps since the last call, each with the sum of each phase's times. Waits for the device.
  [[nodiscard]] std::vector<PhaseTimes> take();

 private:
  struct Mark {
    StepPhase ended = StepPhase::start;
    std::chrono::steady_clock::time_point time = {};
    std::optional<c10::Event> event = {};
  };
  [[nodiscard]] static double milliseconds_between(const Mark& from, const Mark& to);

  torch::Device device_;
  std::vector<Mark> marks_;
};

}  // namespace xception
