#pragma once

namespace xception {

/// The parts of a step, in the order in which a step of one part goes through them. A batch that is
/// accumulated in several parts goes through data to metrics once for each.
enum class StepPhase {
  start,      ///< nothing yet: the step begins
  data,       ///< gather, transform, normalize
  forward,    ///< the model
  loss,       ///< cross entropy
  backward,   ///< gradients, and where several ranks train, their sum
  metrics,    ///< loss and accuracy added up
  optimizer,  ///< unscale, clip, update, counters
};

/// Somebody who wants to know when a step has asked the device for all of a phase. A step without a
/// probe does the same operations.
class StepProbe {
 public:
  virtual ~StepProbe() = default;

  /// Called by the step's thread each time that a phase ends, and with `start` before the first.
  virtual void mark(StepPhase ended) = 0;
};

/// Tells the probe, if there is one.
inline void mark_phase(StepProbe* probe, StepPhase ended) {
  if (probe != nullptr) probe->mark(ended);
}

}  // namespace xception
