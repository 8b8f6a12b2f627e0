#include "xception/bench/phase_clock.h"

#include <c10/core/impl/VirtualGuardImpl.h>

#include <utility>

#include "xception/parallel/device.h"

namespace xception {

const char* phase_name(StepPhase phase) {
  static constexpr std::array<const char*, std::tuple_size_v<PhaseTimes>> names = {
      "start", "data", "forward", "loss", "backward", "metrics", "optimizer"};
  return names.at(static_cast<std::size_t>(phase));
}

const std::vector<StepPhase>& step_phases() {
  static const std::vector<StepPhase> phases = {StepPhase::data,    StepPhase::forward,
                                                StepPhase::loss,    StepPhase::backward,
                                                StepPhase::metrics, StepPhase::optimizer};
  return phases;
}

void PhaseClock::mark(StepPhase ended) {
  auto& mark = marks_.emplace_back();
  mark.ended = ended;
  if (device_.is_cuda()) {
    const c10::impl::VirtualGuardImpl guard(device_.type());
    mark.event.emplace(device_.type(), c10::EventFlag::BACKEND_DEFAULT);
    mark.event->record(guard.getStream(device_));
  } else {
    mark.time = std::chrono::steady_clock::now();
  }
}

double PhaseClock::milliseconds_between(const Mark& from, const Mark& to) {
  if (from.event) return from.event->elapsedTime(*to.event);
  return std::chrono::duration<double, std::milli>(to.time - from.time).count();
}

std::vector<PhaseTimes> PhaseClock::take() {
  synchronize(device_);
  std::vector<PhaseTimes> steps;
  for (std::size_t i = 0; i < marks_.size(); ++i) {
    if (marks_[i].ended == StepPhase::start) {
      steps.emplace_back();
    } else {
      steps.back().at(static_cast<std::size_t>(marks_[i].ended)) +=
          milliseconds_between(marks_[i - 1], marks_[i]);
    }
  }
  marks_.clear();
  return steps;
}

}  // namespace xception
