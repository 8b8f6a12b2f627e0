#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/temporary_folder.h"

namespace xception {

/// What a process left behind.
struct ProcessResult {
  int exit_code = 0;  ///< 128 + n if signal n killed it
  int signal = 0;     ///< that killed it, or 0
  std::string out;    ///< standard output
  std::string err;    ///< standard error
};

struct ProcessOptions {
  std::filesystem::path folder = {};  ///< working directory; empty: the caller's
  std::vector<std::pair<std::string, std::string>> environment = {};  ///< added to the caller's
  std::optional<rlim_t> file_bytes = {};                              ///< RLIMIT_FSIZE
  std::optional<rlim_t> address_bytes = {};                           ///< RLIMIT_AS
  int out_descriptor = -1;  ///< standard output in place of the captured one
  std::chrono::seconds timeout{120};
};

/// A child process whose output is captured. The destructor kills it if it still runs.
class Process {
 public:
  /// arguments: program (a path) and what it gets. Throws if it cannot be started.
  explicit Process(const std::vector<std::string>& arguments, const ProcessOptions& options = {});
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void send(int signal) const;
  [[nodiscard]] pid_t id() const { return id_; }

  /// Waits until `condition` holds, the process ends or its time is over; returns whether it holds.
  bool wait_until(const std::function<bool()>& condition);
  /// Likewise, until its standard output contains `text`.
  bool wait_for(std::string_view text);

  /// Its standard output so far.
  [[nodiscard]] std::string output() const;

  /// Waits for its end. A process that outlives its time is killed, and that fails the test.
  ProcessResult wait();

  /// Whether it has ended; never waits.
  bool ended();

 private:
  [[nodiscard]] bool late() const;

  ProcessOptions options_;
  TemporaryFolder captured_;  ///< with `out` and `err`
  pid_t id_ = -1;
  bool ended_ = false;
  int status_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// The running processes that a process started, in the order of their numbers.
[[nodiscard]] std::vector<pid_t> children_of(pid_t parent);

/// Whether a process with this number exists and isn't just waiting to be reaped.
[[nodiscard]] bool is_running(pid_t id);

/// Content of a file; empty if there is none.
[[nodiscard]] std::string content_of(const std::filesystem::path& file);

/// A variable that the test needs; throws if it is unset.
[[nodiscard]] std::string environment_variable(const char* name);

}  // namespace xception
