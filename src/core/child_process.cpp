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

/// What the process's SignalQueue catches and hasn't given out yet.
struct Arrivals {
  int reader = -1;
  int writer = -1;
};
Arrivals arrivals;

constexpr std::array kQueued = {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};

extern "C" void queue_signal(int number, siginfo_t* info, void* /*context*/) {
  const int error = errno;
  const SignalQueue::Arrival arrival{.number = number, .from_terminal = info->si_code == SI_KERNEL};
  // A full pipe loses it: thousands wait there already.
  (void)!::write(arrivals.writer, &arrival, sizeof(arrival));
  errno = error;
}

/// In a child, before it runs a program: our handlers would tell its parent what was meant for it.
void forget_handlers(bool ignores_save_signals) {
  struct sigaction action {};
  for (const int number : kQueued) {
    ::sigaction(number, nullptr, &action);
    const bool save = number == SIGUSR1 || number == SIGUSR2;
    if (action.sa_handler == SIG_IGN && !save) continue;
    action = {};
    action.sa_handler = save && ignores_save_signals ? SIG_IGN : SIG_DFL;
    ::sigaction(number, &action, nullptr);
  }
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
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  const pid_t parent = ::getpid();
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t id = ::fork();
  if (id == 0) {
    // Only what is safe between fork and exec.
    ::prctl(PR_SET_PDEATHSIG, options.own_group ? SIGKILL : SIGTERM);
    if (::getppid() != parent) ::_exit(1);
    if (options.own_group) (void)::setpgid(0, 0);
    if (output >= 0 && (::dup2(output, 1) < 0 || ::dup2(output, 2) < 0)) ::_exit(126);
    forget_handlers(options.ignores_save_signals);
    sigemptyset(&all);
    ::sigprocmask(SIG_SETMASK, &all, nullptr);
    ::execve(options.program.c_str(), argument_pointers.data(), environment.data());
    ::_exit(kNotFound);
  }
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
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
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    throw run_error("core", "signals cannot be waited for: {}",
                    std::generic_category().message(errno));
  }
  arrivals = {.reader = ends[0], .writer = ends[1]};
  struct sigaction action {};
  action.sa_sigaction = queue_signal;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < kQueued.size(); ++i) {
    ::sigaction(kQueued[i], nullptr, &before_[i]);
    if (kQueued[i] == SIGHUP && before_[i].sa_handler == SIG_IGN) continue;  // nohup
    ::sigaction(kQueued[i], &action, nullptr);
  }
}

SignalQueue::~SignalQueue() {
  for (std::size_t i = 0; i < kQueued.size(); ++i) ::sigaction(kQueued[i], &before_[i], nullptr);
  ::close(arrivals.reader);
  ::close(arrivals.writer);
  arrivals = {};
}

SignalQueue::Arrival SignalQueue::wait(std::chrono::milliseconds time) const {
  static_assert(kQueued.size() == std::tuple_size_v<decltype(before_)>);
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + time;
  while (true) {
    Arrival arrival;
    if (::read(arrivals.reader, &arrival, sizeof(arrival)) == sizeof(arrival)) return arrival;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) return {};
    pollfd ready{.fd = arrivals.reader, .events = POLLIN, .revents = 0};
    (void)::poll(&ready, 1, static_cast<int>(left.count()));
  }
}

}  // namespace xception
