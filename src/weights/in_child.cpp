#include "in_child.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <system_error>

#include "system_calls.h"
#include "xception/core/error.h"
#include "xception/core/readable.h"

namespace xception {
namespace {

constexpr int kRefused = 3;       ///< exit code: the pipe has the Error's message
constexpr rlim_t kSeconds = 300;  ///< of a processor; a large file takes a few

/// Bytes of addresses that this process has.
rlim_t own_addresses() {
  long pages = 0;
  if (auto* file = std::fopen("/proc/self/statm", "re")) {
    if (std::fscanf(file, "%ld", &pages) != 1) pages = 0;
    std::fclose(file);
  }
  return static_cast<rlim_t>(pages) * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE));
}

void limit(int what, rlim_t most) {
  const struct rlimit value { .rlim_cur = most, .rlim_max = most };
  (void)::setrlimit(static_cast<__rlimit_resource>(what), &value);
}

[[noreturn]] void be_child(int output, int messages, std::uint64_t memory,
                           const std::function<void(int)>& work) {
  for (const int signal :
       {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2}) {
    (void)::signal(signal, SIG_DFL);
  }
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_CPU, kSeconds);
#ifndef __SANITIZE_ADDRESS__  // which takes terabytes of addresses, and writes reports
  if (const auto own = own_addresses(); own > 0) limit(RLIMIT_AS, own + memory);
  keep_to_reading();
#endif
  std::string message;
  try {
    work(output);
    ::_exit(0);
  } catch (const std::exception& error) {
    message = error.what();
  }
  const auto written = ::write(messages, message.data(), message.size());
  ::_exit(written >= 0 ? kRefused : 1);
}

std::string read_all(int descriptor) {
  constexpr std::size_t kLongest = 4096;
  std::string text;
  std::array<char, 512> part{};
  for (;;) {
    const auto got = ::read(descriptor, part.data(), part.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return text;
    if (text.size() < kLongest) text.append(part.data(), static_cast<std::size_t>(got));
  }
}

/// An Error's line is `[room] text`.
std::string without_room(const std::string& line) {
  const auto end = line.starts_with('[') ? line.find("] ") : std::string::npos;
  return end == std::string::npos ? line : line.substr(end + 2);
}

}  // namespace

InChild::InChild(const InputFile& file, std::uint64_t memory, const std::function<void(int)>& work)
    : output_(::memfd_create("xception-weights", MFD_CLOEXEC)) {
  std::array<int, 2> pipe{-1, -1};
  const auto fail = [&] {
    const auto reason = std::generic_category().message(errno);
    for (const int descriptor : {output_, pipe[0], pipe[1]}) {
      if (descriptor >= 0) ::close(descriptor);
    }
    return run_error("weights", "{}: no process to read it in: {}", file.name(), reason);
  };
  if (output_ < 0 || ::pipe2(pipe.data(), O_CLOEXEC) != 0) throw fail();
  const pid_t child = ::fork();
  if (child < 0) throw fail();
  if (child == 0) be_child(output_, pipe[1], memory, work);
  ::close(pipe[1]);
  const auto message = read_all(pipe[0]);
  ::close(pipe[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  ::close(output_);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kRefused) {
    throw input_error("weights", "{}", without_room(message));
  }
  throw input_error(
      "weights", "{}: the library that reads such files {}: it is damaged, use another copy",
      file.name(),
      WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU ? "came to no end" : "crashed on it");
}

InChild::~InChild() {
  ::close(output_);
}

std::string InChild::path() const {
  return fmt::format("/proc/self/fd/{}", output_);
}

}  // namespace xception
