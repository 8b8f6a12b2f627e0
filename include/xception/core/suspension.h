#pragma once

namespace xception {

/// Notices, for its lifetime, how long the whole process stood still (SIGSTOP, Ctrl-Z): a thread
/// that ticks misses its ticks, and SIGCONT says that this was no load of the machine. What the
/// system sleeps isn't in the steady clock anyway. One at a time.
class SuspensionWatch {
 public:
  SuspensionWatch();
  ~SuspensionWatch();
  SuspensionWatch(const SuspensionWatch&) = delete;
  SuspensionWatch& operator=(const SuspensionWatch&) = delete;

  /// Seconds of the steady clock that the process stood still while it was watched: a little less
  /// than it was, stops below a second left out. Within a second of a gap that may have been load
  /// it is counted as one until that is known. Any thread may ask.
  [[nodiscard]] static double seconds();
};

}  // namespace xception
