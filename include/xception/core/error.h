#pragma once

#include <fmt/format.h>

#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace xception {

/// The one exception type of the program.
///
/// A message is a single line that starts with its origin, for example
/// `[data] data_batch_3.bin: 30,729,999 bytes, expected 30,730,000; download it again`:
/// what was read, what was found, what was expected, what to do.
class Error : public std::runtime_error {
 public:
  /// What went wrong, as the exit code of the process.
  enum class Kind : int {
    run = 1,    ///< the run failed (disk full, out of memory, loss not finite)
    input = 2,  ///< bad usage, configuration or data
  };

  Error(Kind kind, std::string_view room, std::string_view message)
      : std::runtime_error(fmt::format("[{}] {}", room, message)), kind_(kind) {}

  [[nodiscard]] Kind kind() const noexcept { return kind_; }
  [[nodiscard]] int exit_code() const noexcept { return static_cast<int>(kind_); }

 private:
  Kind kind_;
};

/// Builds an Error that blames the input: `throw input_error("data", "{}: no such file", path);`
template <class... Args>
[[nodiscard]] Error input_error(std::string_view room, fmt::format_string<Args...> format,
                                Args&&... args) {
  return Error(Error::Kind::input, room, fmt::format(format, std::forward<Args>(args)...));
}

/// Builds an Error for a run that cannot go on: `throw run_error("train", "...")`.
template <class... Args>
[[nodiscard]] Error run_error(std::string_view room, fmt::format_string<Args...> format,
                              Args&&... args) {
  return Error(Error::Kind::run, room, fmt::format(format, std::forward<Args>(args)...));
}

/// What an exception means for the user: its one line and the exit code of the process.
struct ErrorLine {
  std::string message;
  int exit_code = 1;
};

/// Of our own errors, LibTorch's and the system's.
[[nodiscard]] ErrorLine describe_error(const std::exception_ptr& exception);

}  // namespace xception
