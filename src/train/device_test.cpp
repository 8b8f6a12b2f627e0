#include "xception/train/device_test.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <torch/version.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

#include "verdict_store.h"
#include "xception/core/child_process.h"
#include "xception/core/first_line.h"
#include "xception/core/log.h"
#include "xception/core/version.h"
#include "xception/kernels/fused_selftest.h"
#include "xception/parallel/device.h"
#include "xception/parallel/failure_cause.h"
#include "xception/train/environment.h"
#include "xception/train/graph_selftest.h"
#include "xception/train/network_selftest.h"

namespace xception {
namespace {

constexpr const char* kWorker = "XCEPTION_SELFTEST_WORKER";
constexpr std::string_view kMark = "xception-selftest ";  // before a verdict
std::string text_of(std::time_t seconds) {
  std::tm local{};
  localtime_r(&seconds, &local);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M", &local);
  return text.data();
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// What tells a file from another version of it.
std::string file_identity(const char* path) {
  struct stat file {};
  if (::stat(path, &file) != 0) return "";
  return fmt::format("{} {}", file.st_size, file.st_mtime);
}

/// This build, one with uncommitted changes included.
std::string build_identity() {
  return fmt::format("{} {}", version().git_commit, file_identity("/proc/self/exe"));
}

/// The LibTorch that runs, which may be another than the one that was compiled with.
std::string libtorch_identity() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<void*>(&at::get_num_threads), &info) == 0) return TORCH_VERSION;
  return fmt::format("{} {}", TORCH_VERSION, file_identity(info.dli_fname));
}

/// Everything that a verdict depends on.
nlohmann::json key_of(const DeviceTest& test) {
  const auto info = describe_device(test.device);
  nlohmann::json key = {{"test", device_test_name(test.kind)},
                        {"device", test.device.is_cuda() ? info.name : processor_name()},
                        {"compute_capability", info.compute_capability},
                        {"driver", gpu_driver()},
                        {"cuda", version().cuda},
                        {"cudnn", cudnn_version()},
                        {"libtorch", libtorch_identity()},
                        {"build", build_identity()},
                        {"precision", test.precision}};
  if (test.kind == DeviceTest::Kind::graph) {
    key["kernels"] = kernels_name(test.kernels);
    key["allocator"] = variable("PYTORCH_CUDA_ALLOC_CONF") + variable("PYTORCH_ALLOC_CONF");
  }
  return key;
}

/// For how long a finding is kept, in seconds; nothing: not at all.
using Lifetime = std::optional<std::int64_t>;
constexpr std::int64_t kForGood = 0;
constexpr std::int64_t kHour = 60 * 60;
constexpr std::int64_t kDay = 24 * kHour;

/// A verdict of this process's own time.
struct Finding {
  std::string problem;
  Lifetime lifetime;
};

/// Of what a test says itself: that results agree or differ is so for good; what LibTorch threw may
/// have been the machine's state.
Lifetime lifetime_of(const std::string& problem, const torch::Device& device) {
  if (cause_of(problem, device) == FailureCause::memory) return std::nullopt;
  if (problem.find("busy or unavailable") != std::string::npos) return std::nullopt;
  return problem.find(" error") == std::string::npos ? kForGood : kDay;
}

/// Variables of a rank are not the worker's.
bool is_ranks(const std::string& name) {
  for (const std::string_view start : {"RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE",
                                       "MASTER_", "TORCHELASTIC_", "SLURM_", "XCEPTION_LAUNCHER"}) {
    if (name.starts_with(start)) return true;
  }
  return false;
}

/// The last line that is a verdict.
std::optional<Finding> verdict_in(const std::string& output) {
  const auto start = output.rfind(kMark);
  if (start == std::string::npos || (start > 0 && output[start - 1] != '\n')) return std::nullopt;
  try {
    const auto answer = nlohmann::json::parse(first_line(output.substr(start + kMark.size())));
    const auto& lifetime = answer.at("lifetime");
    return Finding{.problem = answer.at("problem"),
                   .lifetime = lifetime.is_null() ? Lifetime() : lifetime.get<std::int64_t>()};
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

/// The last line that isn't empty, shortened.
std::string last_words(const std::string& output) {
  const auto end = output.find_last_not_of(" \n\r\t");
  if (end == std::string::npos) return "";
  const auto start = output.rfind('\n', end);
  const auto first = start == std::string::npos ? 0 : start + 1;
  return ": " + output.substr(first, std::min<std::size_t>(end - first + 1, 200));
}

Finding ask_worker(const DeviceTest& test, double seconds) {
  // As many threads as this process has: beside others each would take all cores.
  const auto threads = std::to_string(at::get_num_threads());
  ChildCommand command{
      .arguments = {"xception", "doctor", "--selftest-worker", device_test_name(test.kind),
                    "--device", test.device.str(), "--precision", test.precision, "--kernels",
                    kernels_name(test.kernels)},
      .environment = child_environment({{"OMP_NUM_THREADS", threads}}, is_ranks)};
  if (const auto worker = variable(kWorker); !worker.empty()) command.program = worker;
  const auto limit = std::chrono::milliseconds(static_cast<std::int64_t>(1000.0 * seconds));
  ChildResult result;
  try {
    result = run_child(command, limit);
  } catch (const std::exception& error) {
    return {.problem = first_line(error.what()), .lifetime = std::nullopt};
  }
  if (!result.in_time) {
    // The machine may have been busy, or its disk cold.
    return {.problem = fmt::format("it didn't end in {:g} s (train.selftest_seconds)", seconds),
            .lifetime = kHour};
  }
  if (const int number = result.signal; number != 0) {
    // Somebody's wish, or want of memory.
    const bool asked =
        number == SIGKILL || number == SIGTERM || number == SIGINT || number == SIGHUP;
    return {.problem = fmt::format("it was ended by signal {} ({}){}", number, ::strsignal(number),
                                   last_words(result.output)),
            .lifetime = asked ? Lifetime() : kDay};
  }
  if (const auto verdict = verdict_in(result.output); result.exit_code == 0 && verdict) {
    return *verdict;
  }
  return {.problem = fmt::format("it ended with code {} and no verdict{}",
                                 result.exit_code ? std::to_string(*result.exit_code) : "unknown",
                                 last_words(result.output)),
          .lifetime = std::nullopt};
}

/// Keeps a verdict; says once where that fails.
void store(const KeptVerdict& verdict, const torch::Device& device) {
  try {
    keep_verdict(verdict);
  } catch (const std::exception& error) {
    static bool said = false;
    if (!said) {
      spdlog::info("{}: will be tested again at each start, because {}", device.str(),
                   first_line(error.what()));
    }
    said = true;
  }
}

/// Verdicts of this process, by key.
std::map<std::string, std::optional<DeviceVerdict>>& known_verdicts() {
  static std::map<std::string, std::optional<DeviceVerdict>> known;
  return known;
}

std::optional<DeviceVerdict> kept_under(const nlohmann::json& key) {
  const auto found = find_verdict(key);
  if (!found) return std::nullopt;
  return DeviceVerdict{.problem = found->problem, .time = text_of(found->time), .kept = true};
}

}  // namespace

const char* device_test_name(DeviceTest::Kind kind) {
  return kind == DeviceTest::Kind::kernels ? "kernels" : "graph";
}

std::string run_device_test(const DeviceTest& test) {
  if (test.kind == DeviceTest::Kind::graph) {
    return graph_selftest(test.device, test.precision, test.kernels);
  }
  auto problem = fused_selftest(test.device);
  return problem.empty() ? network_selftest(test.device, test.precision) : problem;
}

DeviceVerdict ask_device(const DeviceTest& test, double seconds, bool again) {
  const auto key = key_of(test);
  auto& known = known_verdicts()[key.dump()];
  if (known && !again) return *known;
  const auto look = [&] {
    known = again ? std::nullopt : kept_under(key);
    return known.has_value();
  };
  if (look()) return *known;
  // Of processes that start together one tests, and the others wait for what it keeps.
  const VerdictLock lock(std::chrono::milliseconds(static_cast<std::int64_t>(1000.0 * seconds)));
  if (look()) return *known;
  spdlog::info("{}: testing {} in {} (once for this build and GPU, at most {:g} s)",
               test.device.str(),
               test.kind == DeviceTest::Kind::kernels ? "fused kernels" : "a recorded step",
               test.precision, seconds);
  const auto finding = ask_worker(test, seconds);
  known = DeviceVerdict{.problem = finding.problem, .time = text_of(std::time(nullptr))};
  if (finding.lifetime) {
    const auto now = std::time(nullptr);
    store({.key = key,
           .problem = finding.problem,
           .time = now,
           .expires = *finding.lifetime == kForGood ? 0 : now + *finding.lifetime},
          test.device);
  }
  return *known;
}

std::optional<DeviceVerdict> kept_verdict(const DeviceTest& test) {
  return kept_under(key_of(test));
}

bool is_tested(const torch::Device& device) {
  return device.is_cuda() || !variable(kWorker).empty();
}

void forget_verdicts() {
  known_verdicts().clear();
}

void answer_device_test(const DeviceTest& test) {
  const auto problem = run_device_test(test);
  nlohmann::json verdict = {{"problem", problem}, {"lifetime", nullptr}};
  if (const auto lifetime = lifetime_of(problem, test.device)) verdict["lifetime"] = *lifetime;
  const auto text = verdict.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  // A library may have left a line unfinished.
  std::printf("\n%s%s\n", kMark.data(), text.c_str());
  std::_Exit(std::fflush(stdout) == 0 ? 0 : 1);
}

}  // namespace xception
