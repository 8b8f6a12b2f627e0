#pragma once

namespace xception {

/// Makes a full disk or a closed pipe an error that can be reported: SIGXFSZ and SIGPIPE are
/// ignored from then on.
void ignore_write_signals();

/// Turns SIGINT and SIGTERM into a flag that is looked at between steps, for its lifetime. A second
/// SIGINT ends the process at once.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// The signal that arrived, or 0.
  [[nodiscard]] static int received() noexcept;
};

}  // namespace xception
