#pragma once

#include <sys/types.h>

#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace xception {

/// Variables for a child: this process's without those that `drop` names, and then `add`.
[[nodiscard]] std::vector<std::string> child_environment(
    const std::vector<std::pair<std::string, std::string>>& add,
    const std::function<bool(const std::string& name)>& drop = {});

/// A process that this one started by fork and exec. It gets SIGTERM when this one dies.
class ChildProcess {
 public:
  struct Options {
    std::vector<std::string> environment = {};
    std::filesystem::path output =
        {};                      ///< appended to by its standard output and error; empty: ours
    int output_descriptor = -1;  ///< likewise, open already; below 0: `output` counts
    std::filesystem::path program = "/proc/self/exe";  ///< this very program
    /// In a process group of its own: a terminal's Ctrl-C doesn't reach it, and when this process
    /// dies it is killed at once.
    bool own_group = false;
    /// SIGUSR1 and SIGUSR2 do nothing there until it handles them; otherwise they end it.
    bool ignores_save_signals = false;
  };

  /// Runs a program with these arguments (the first is its name). Errors (run).
  static ChildProcess run(std::vector<std::string> arguments, const Options& options);

  [[nodiscard]] pid_t id() const { return id_; }
  /// Looks whether it has ended; never waits.
  bool ended();
  /// Its exit code, or nothing if a signal killed it.
  [[nodiscard]] std::optional<int> exit_code() const;
  /// The signal that killed it, or 0.
  [[nodiscard]] int signal() const;
  void send(int number) const;
  /// To it and all that it started, where it has a group of its own.
  void send_to_group(int number) const;

 private:
  explicit ChildProcess(pid_t id) : id_(id) {}

  pid_t id_;
  bool ended_ = false;
  bool known_ = false;  ///< how it ended
  int status_ = 0;
};

/// How a child that had a time limit ended, and what it printed.
struct ChildResult {
  bool in_time = false;               ///< it ended before the limit; else it was killed then
  std::optional<int> exit_code = {};  ///< nothing: a signal ended it, or nobody knows
  int signal = 0;                     ///< that ended it, or 0
  std::string output = {};
};

/// What `run_child` starts.
struct ChildCommand {
  std::vector<std::string> arguments;  ///< the first is its name
  std::filesystem::path program = "/proc/self/exe";
  std::vector<std::string> environment = child_environment({});
};

/// Runs a program to its end or to the time limit, whichever comes first, and reads what it prints
/// to standard output and error (of more than a megabyte the end). Errors (run): it cannot be
/// started.
[[nodiscard]] ChildResult run_child(const ChildCommand& command, std::chrono::milliseconds limit);

/// Catches SIGCHLD, SIGUSR1 and what is_stop_signal() says for `wait`, for its lifetime, whichever
/// thread of the process they reach. A SIGHUP that was ignored before (nohup) stays ignored. One at
/// a time in a process.
class SignalQueue {
 public:
  SignalQueue();
  ~SignalQueue();
  SignalQueue(const SignalQueue&) = delete;
  SignalQueue& operator=(const SignalQueue&) = delete;

  /// A signal that arrived.
  struct Arrival {
    int number = 0;              ///< 0: none came in time
    bool from_terminal = false;  ///< Ctrl-C, which children of the same terminal get themselves
  };
  /// The oldest one that hasn't been given out.
  [[nodiscard]] Arrival wait(std::chrono::milliseconds time) const;

 private:
  std::array<struct sigaction, 6> before_{};
};

}  // namespace xception
