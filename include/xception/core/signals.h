#pragma once

namespace xception {

/// Makes a full disk or a closed pipe an error that can be reported: SIGXFSZ and SIGPIPE are
/// ignored from then on.
void ignore_write_signals();

/// Whether a signal asks a process to save and stop: SIGINT, SIGTERM, SIGHUP (a lost connection),
/// SIGUSR2 (batch systems).
[[nodiscard]] bool is_stop_signal(int number) noexcept;

/// Turns the signals that ask to stop into a flag that is looked at between steps, for its
/// lifetime, and SIGUSR1 into a wish to save and go on. A second SIGINT ends the process at once. A
/// SIGHUP that was ignored before (nohup) stays ignored.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// The signal that arrived, or 0.
  [[nodiscard]] static int received() noexcept;
  /// Whether SIGUSR1 arrived since the last call.
  [[nodiscard]] static bool take_save_request() noexcept;
};

/// Has SIGUSR1 and SIGUSR2 do nothing from now on, where otherwise they would end the process:
/// before there is something to save.
void ignore_save_signals();

}  // namespace xception
