#include "xception/core/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include "descriptor.h"
#include "xception/core/error.h"

namespace xception {
namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (auto& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

/// What a shell answers where a program can't be run.
constexpr int kNotFound = 127;

sigset_t queued_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGCHLD, SIGINT, SIGTERM, SIGUSR1, SIGUSR2}) {
    sigaddset(&signals, number);
  }
  // Blocked it would arrive here although nohup has it ignored.
  struct sigaction hangup {};
  ::sigaction(SIGHUP, nullptr, &hangup);
  if (hangup.sa_handler != SIG_IGN) sigaddset(&signals, SIGHUP);
  return signals;
}

}  // namespace

std::vector<std::string> child_environment(
    const std::vector<std::pair<std::string, std::string>>& add,
    const std::function<bool(const std::string& name)>& drop) {
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const auto name = text.substr(0, text.find('='));
    const bool replaced =
        std::any_of(add.begin(), add.end(), [&](const auto& item) { return item.first == name; });
    if (!replaced && !(drop && drop(name))) variables.push_back(text);
  }
  for (const auto& [name, value] : add) {
    variables.push_back(name);
    variables.back().append("=").append(value);
  }
  return variables;
}

ChildProcess ChildProcess::run(std::vector<std::string> arguments, const Options& options) {
  auto variables = options.environment;
  const auto environment = pointers(variables);
  const auto argument_pointers = pointers(arguments);
  int file = -1;
  if (!options.output.empty()) {
    file = ::open(options.output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (file < 0) {
      throw run_error("core", "{}: cannot be written: {}", options.output.string(),
                      std::generic_category().message(errno));
    }
  }
  const int output = file >= 0 ? file : options.output_descriptor;
  sigset_t none;
  sigemptyset(&none);
  const pid_t parent = ::getpid();
  const pid_t id = ::fork();
  if (id == 0) {
    // Only what is safe between fork and exec.
    ::prctl(PR_SET_PDEATHSIG, options.own_group ? SIGKILL : SIGTERM);
    if (::getppid() != parent) ::_exit(1);
    if (options.own_group) (void)::setpgid(0, 0);
    if (output >= 0 && (::dup2(output, 1) < 0 || ::dup2(output, 2) < 0)) ::_exit(126);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::execve(options.program.c_str(), argument_pointers.data(), environment.data());
    ::_exit(kNotFound);
  }
  const int error = errno;
  if (file >= 0) ::close(file);
  if (id < 0) {
    throw run_error("core", "{}: cannot be started: {}", arguments.front(),
                    std::generic_category().message(error));
  }
  if (options.own_group) (void)::setpgid(id, id);  // whichever of the two comes first
  return ChildProcess(id);
}

bool ChildProcess::ended() {
  if (ended_) return true;
  const pid_t found = ::waitpid(id_, &status_, WNOHANG);
  // Where SIGCHLD is ignored nobody tells how it ended.
  known_ = found == id_;
  ended_ = known_ || (found < 0 && errno == ECHILD);
  return ended_;
}

std::optional<int> ChildProcess::exit_code() const {
  return ended_ && known_ && WIFEXITED(status_) ? std::optional(WEXITSTATUS(status_))
                                                : std::nullopt;
}

int ChildProcess::signal() const {
  return ended_ && known_ && WIFSIGNALED(status_) ? WTERMSIG(status_) : 0;
}

void ChildProcess::send(int number) const {
  if (!ended_) ::kill(id_, number);
}

void ChildProcess::send_to_group(int number) const {
  ::kill(-id_, number);
}

ChildResult run_child(const ChildCommand& command, std::chrono::milliseconds limit) {
  using Clock = std::chrono::steady_clock;
  constexpr std::size_t kKept = 1 << 20;
  constexpr auto kDying = std::chrono::seconds(5);  // a driver may hold it
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw run_error("core", "{}: cannot be started: {}", command.arguments.front(),
                    std::generic_category().message(errno));
  }
  const Descriptor reader(ends[0]);
  Descriptor writer(ends[1]);
  auto child = ChildProcess::run(command.arguments, {.environment = command.environment,
                                                     .output_descriptor = writer.get(),
                                                     .program = command.program,
                                                     .own_group = true});
  (void)writer.close();
  ChildResult result;
  bool open = true;
  const auto read_for = [&](std::chrono::milliseconds time) {
    pollfd ready{.fd = reader.get(), .events = POLLIN, .revents = 0};
    if (::poll(open ? &ready : nullptr, open ? 1 : 0, static_cast<int>(time.count())) <= 0) {
      return false;
    }
    std::array<char, 4096> buffer{};
    const auto bytes = ::read(reader.get(), buffer.data(), buffer.size());
    open = bytes > 0;
    if (!open) return false;
    result.output.append(buffer.data(), static_cast<std::size_t>(bytes));
    if (result.output.size() > 2 * kKept) {
      result.output.erase(0, result.output.size() - kKept);
    }
    return true;
  };
  auto deadline = Clock::now() + limit;
  result.in_time = true;
  while (!child.ended()) {
    if (Clock::now() >= deadline) {
      if (!result.in_time) break;  // it doesn't even die: left to itself
      result.in_time = false;
      child.send_to_group(SIGKILL);
      deadline = Clock::now() + kDying;
    }
    (void)read_for(std::chrono::milliseconds(20));
  }
  // What it started and left behind goes with it; its last words are still in the pipe.
  if (child.ended()) child.send_to_group(SIGKILL);
  while (read_for(std::chrono::milliseconds(0))) {
  }
  result.exit_code = child.exit_code();
  result.signal = child.signal();
  return result;
}

SignalQueue::SignalQueue() {
  const auto signals = queued_signals();
  ::pthread_sigmask(SIG_BLOCK, &signals, &before_);
}

SignalQueue::~SignalQueue() {
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

SignalQueue::Arrival SignalQueue::wait(std::chrono::milliseconds time) {
  const auto signals = queued_signals();
  const timespec timeout{.tv_sec = time.count() / 1000, .tv_nsec = time.count() % 1000 * 1'000'000};
  siginfo_t info{};
  const int number = ::sigtimedwait(&signals, &info, &timeout);
  if (number <= 0) return {};
  return {.number = number, .from_terminal = info.si_code == SI_KERNEL};
}

}  // namespace xception
