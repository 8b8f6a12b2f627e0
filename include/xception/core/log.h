#pragma once

#include <spdlog/spdlog.h>

#include <filesystem>
#include <string>

namespace xception {

/// Sets up spdlog's default logger: plain lines on standard output (or standard error, where
/// standard output carries a result for machines).
void start_log(bool to_standard_error = false);

/// Adds a file that gets every line with its time. Errors (run): cannot be opened.
void add_log_file(const std::filesystem::path& file);

/// Prints `error: MESSAGE` as one line on standard error, in place of a status line.
void print_error(const std::string& message);

/// A line that is redrawn in place, on standard error, where that is a terminal.
class StatusLine {
 public:
  [[nodiscard]] static bool available();
  /// Replaces the line.
  static void show(const std::string& text);
  /// Removes it, before other output.
  static void clear();
};

}  // namespace xception
