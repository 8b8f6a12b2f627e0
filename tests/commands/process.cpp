#include "commands/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace xception {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(2);

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (auto& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

std::vector<std::string> environment_of(const ProcessOptions& options) {
  std::vector<std::string> texts;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    bool replaced = false;
    for (const auto& item : options.environment) {
      replaced = replaced || text.starts_with(item.first + "=");
    }
    if (!replaced) texts.push_back(text);
  }
  for (const auto& [name, value] : options.environment) {
    std::string text = name;
    text += '=';
    text += value;
    texts.push_back(std::move(text));
  }
  return texts;
}

void limit(int resource, const std::optional<rlim_t>& value) {
  if (!value) return;
  const rlimit both{*value, *value};
  if (::setrlimit(static_cast<__rlimit_resource>(resource), &both) != 0) ::_exit(126);
}

/// What the child does between fork and exec: nothing that could wait for a lock.
[[noreturn]] void become(const ProcessOptions& options, int out, int err, char* const* arguments,
                         char* const* environment) {
  const int in = ::open("/dev/null", O_RDONLY);
  if (in < 0 || ::dup2(in, 0) < 0 || ::dup2(out, 1) < 0 || ::dup2(err, 2) < 0) ::_exit(126);
  if (!options.folder.empty() && ::chdir(options.folder.c_str()) != 0) ::_exit(126);
  std::signal(SIGPIPE, SIG_DFL);
  limit(RLIMIT_FSIZE, options.file_bytes);
  limit(RLIMIT_AS, options.address_bytes);
  ::execve(arguments[0], arguments, environment);
  ::_exit(127);
}

int create(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (descriptor < 0) throw std::runtime_error(file.string() + " cannot be written");
  return descriptor;
}

}  // namespace

Process::Process(const std::vector<std::string>& arguments, const ProcessOptions& options)
    : options_(options) {
  auto texts = arguments;
  auto variables = environment_of(options);
  const auto argument_pointers = pointers(texts);
  const auto environment_pointers = pointers(variables);
  const int out = create(captured_.path / "out");
  const int err = create(captured_.path / "err");
  id_ = ::fork();
  if (id_ == 0) {
    become(options_, options_.out_descriptor >= 0 ? options_.out_descriptor : out, err,
           argument_pointers.data(), environment_pointers.data());
  }
  ::close(out);
  ::close(err);
  if (id_ < 0) throw std::runtime_error("no process");
}

Process::~Process() {
  if (!ended()) {
    ::kill(id_, SIGKILL);
    ::waitpid(id_, &status_, 0);
  }
}

void Process::send(int signal) const {
  if (!ended_) ::kill(id_, signal);
}

bool Process::ended() {
  if (!ended_) ended_ = ::waitpid(id_, &status_, WNOHANG) == id_;
  return ended_;
}

std::string Process::output() const {
  return content_of(captured_.path / "out");
}

bool Process::late() const {
  return std::chrono::steady_clock::now() - start_ > options_.timeout;
}

bool Process::wait_until(const std::function<bool()>& condition) {
  while (true) {
    const bool last = ended() || late();
    if (condition()) return true;
    if (last) return false;
    std::this_thread::sleep_for(kPoll);
  }
}

bool Process::wait_for(std::string_view text) {
  return wait_until([&] { return output().find(text) != std::string::npos; });
}

ProcessResult Process::wait() {
  while (!ended()) {
    if (late()) {
      ADD_FAILURE() << "process " << id_ << " outlived its time";
      ::kill(id_, SIGKILL);
    }
    std::this_thread::sleep_for(kPoll);
  }
  ProcessResult result;
  result.signal = WIFSIGNALED(status_) ? WTERMSIG(status_) : 0;
  result.exit_code = result.signal != 0 ? 128 + result.signal : WEXITSTATUS(status_);
  result.out = output();
  result.err = content_of(captured_.path / "err");
  return result;
}

std::vector<pid_t> children_of(pid_t parent) {
  const auto id = std::to_string(parent);
  std::istringstream text(content_of("/proc/" + id + "/task/" + id + "/children"));
  std::vector<pid_t> children;
  for (pid_t child = 0; text >> child;) children.push_back(child);
  std::sort(children.begin(), children.end());
  return children;
}

bool is_running(pid_t id) {
  const auto text = content_of("/proc/" + std::to_string(id) + "/stat");
  const auto name = text.rfind(')');
  return name != std::string::npos && text.compare(name, 3, ") Z") != 0;
}

std::string content_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

std::string environment_variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') {
    throw std::runtime_error(std::string(name) + " is not set");
  }
  return value;
}

}  // namespace xception
