#pragma once

#include <string>

namespace xception {

/// What a command left behind.
struct CommandOutput {
  int code = 0;           ///< its exit code; 127: no such program
  std::string text = {};  ///< standard output and error, without the last line's end
};

/// Runs a command line in the shell, to its end.
[[nodiscard]] CommandOutput run_command(const std::string& command);

/// One word of a command line, whatever is in it.
[[nodiscard]] std::string shell_quoted(const std::string& text);

}  // namespace xception
