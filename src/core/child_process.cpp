#include "xception/core/child_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "xception/core/error.h"

namespace xception {
namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (auto& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

sigset_t queued_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGCHLD, SIGINT, SIGTERM}) sigaddset(&signals, number);
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

ChildProcess ChildProcess::run_self(std::vector<std::string> arguments, const Options& options) {
  auto variables = options.environment;
  const auto environment = pointers(variables);
  const auto argument_pointers = pointers(arguments);
  int output = -1;
  if (!options.output.empty()) {
    output = ::open(options.output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (output < 0) {
      throw run_error("core", "{}: cannot be written: {}", options.output.string(),
                      std::generic_category().message(errno));
    }
  }
  sigset_t none;
  sigemptyset(&none);
  const pid_t parent = ::getpid();
  const pid_t id = ::fork();
  if (id == 0) {
    // Only what is safe between fork and exec.
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(1);
    if (output >= 0 && (::dup2(output, 1) < 0 || ::dup2(output, 2) < 0)) ::_exit(126);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::execve("/proc/self/exe", argument_pointers.data(), environment.data());
    ::_exit(127);
  }
  const int error = errno;
  if (output >= 0) ::close(output);
  if (id < 0) {
    throw run_error("core", "{}: cannot be started: {}", arguments.front(),
                    std::generic_category().message(error));
  }
  return ChildProcess(id);
}

bool ChildProcess::ended() {
  if (!ended_) ended_ = ::waitpid(id_, &status_, WNOHANG) == id_;
  return ended_;
}

std::optional<int> ChildProcess::exit_code() const {
  return ended_ && WIFEXITED(status_) ? std::optional(WEXITSTATUS(status_)) : std::nullopt;
}

int ChildProcess::signal() const {
  return ended_ && WIFSIGNALED(status_) ? WTERMSIG(status_) : 0;
}

void ChildProcess::send(int number) const {
  if (!ended_) ::kill(id_, number);
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
