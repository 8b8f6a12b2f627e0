#include "xception/core/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "xception/core/error.h"

namespace xception {
namespace {

bool status_shown = false;

}  // namespace

void start_log(bool to_standard_error) {
  spdlog::sink_ptr console;
  if (to_standard_error) {
    console = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  } else {
    console = std::make_shared<spdlog::sinks::stdout_sink_mt>();
  }
  console->set_pattern("%v");
  auto logger = std::make_shared<spdlog::logger>("xception", console);
  logger->flush_on(spdlog::level::info);
  // A line that cannot be logged (disk full, pipe closed) stops nothing: what must be saved reports
  // its own failure, and spdlog's notice would stand beside that one line.
  logger->set_error_handler([](const std::string&) {});
  spdlog::set_default_logger(std::move(logger));
}

void add_log_file(const std::filesystem::path& file) {
  try {
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file.string());
    sink->set_pattern("%Y-%m-%d %H:%M:%S.%e %L %v");
    spdlog::default_logger()->sinks().push_back(std::move(sink));
  } catch (const spdlog::spdlog_ex& error) {
    throw run_error("core", "{}: {}", file.string(), error.what());
  }
}

void print_error(const std::string& message) {
  StatusLine::clear();
  std::fprintf(stderr, "error: %s\n", message.c_str());
  std::fflush(stderr);
}

bool StatusLine::available() {
  static const bool terminal = [] {
    const char* kind = std::getenv("TERM");
    const std::string_view name = kind == nullptr ? "" : kind;
    return !name.empty() && name != "dumb" && ::isatty(STDERR_FILENO) == 1 &&
           ::isatty(STDOUT_FILENO) == 1;
  }();
  return terminal;
}

void StatusLine::show(const std::string& text) {
  if (!available()) return;
  winsize window{};
  std::size_t columns = 100;
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0)
    columns = window.ws_col;
  std::fprintf(stderr, "\r%s\033[K", text.substr(0, columns - 1).c_str());
  std::fflush(stderr);
  status_shown = true;
}

void StatusLine::clear() {
  if (!status_shown) return;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
  status_shown = false;
}

}  // namespace xception
