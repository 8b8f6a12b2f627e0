#include "xception/train/device_test.h"

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
#include "xception/core/memory.h"
#include "xception/core/version.h"
#include "xception/kernels/fused_selftest.h"
#include "xception/parallel/device.h"
#include "xception/train/environment.h"
#include "xception/train/graph_selftest.h"
#include "xception/train/network_selftest.h"

namespace xception {
namespace {

constexpr const char* kWorker = "XCEPTION_SELFTEST_WORKER";
constexpr std::string_view kMark = "xception-selftest ";  // before a verdict
constexpr std::int64_t kDay = 24 * 60 * 60;

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

/// What tells this build from any other, one with uncommitted changes included.
std::string build_identity() {
  struct stat file {};
  (void)::stat("/proc/self/exe", &file);
  return fmt::format("{} {} {}", version().git_commit, file.st_size, file.st_mtime);
}

/// Everything that a verdict depends on.
nlohmann::json key_of(const DeviceTest& test) {
  const auto info = describe_device(test.device);
  nlohmann::json key = {{"test", device_test_name(test.kind)},
                        {"device", info.name},
                        {"compute_capability", info.compute_capability},
                        {"driver", gpu_driver()},
                        {"cuda", version().cuda},
                        {"cudnn", cudnn_version()},
                        {"libtorch", TORCH_VERSION},
                        {"build", build_identity()},
                        {"precision", test.precision}};
  if (test.kind == DeviceTest::Kind::graph) {
    key["kernels"] = test.kernels == Kernels::fused ? "fused" : "reference";
  }
  return key;
}

/// A verdict of this process's own time.
struct Finding {
  std::string problem;
  bool lasts = true;          ///< a later start would find the same
  std::int64_t lifetime = 0;  ///< seconds; 0: for good
};

/// Whether what went wrong may be otherwise in a minute.
bool may_pass(const std::string& problem) {
  return is_out_of_memory(problem) || problem.find("busy or unavailable") != std::string::npos;
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
std::optional<std::string> verdict_in(const std::string& output) {
  const auto start = output.rfind(kMark);
  if (start == std::string::npos || (start > 0 && output[start - 1] != '\n')) return std::nullopt;
  try {
    const auto json = nlohmann::json::parse(first_line(output.substr(start + kMark.size())));
    return json.at("problem").get<std::string>();
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
  ChildCommand command{
      .arguments = {"xception", "doctor", "--selftest-worker", device_test_name(test.kind),
                    "--device", test.device.str(), "--precision", test.precision, "--kernels",
                    test.kernels == Kernels::fused ? "fused" : "reference"},
      .environment = child_environment({}, is_ranks)};
  if (const auto worker = variable(kWorker); !worker.empty()) command.program = worker;
  const auto limit = std::chrono::milliseconds(static_cast<std::int64_t>(1000.0 * seconds));
  ChildResult result;
  try {
    result = run_child(command, limit);
  } catch (const std::exception& error) {
    return {.problem = first_line(error.what()), .lasts = false};
  }
  if (!result.in_time) {
    return {.problem = fmt::format("it didn't end in {:g} s (train.selftest_seconds)", seconds),
            .lifetime = kDay};
  }
  if (result.signal != 0) {
    // Somebody's wish, or want of memory.
    const bool asked = result.signal == SIGKILL || result.signal == SIGTERM ||
                       result.signal == SIGINT || result.signal == SIGHUP;
    return {.problem = fmt::format("it was ended by signal {} ({}){}", result.signal,
                                   ::strsignal(result.signal), last_words(result.output)),
            .lasts = !asked};
  }
  const auto problem = verdict_in(result.output);
  if (result.exit_code == 0 && problem) return {.problem = *problem, .lasts = !may_pass(*problem)};
  return {.problem = fmt::format("it ended with code {} and no verdict{}", *result.exit_code,
                                 last_words(result.output)),
          .lasts = false};
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
std::map<std::string, DeviceVerdict>& known_verdicts() {
  static std::map<std::string, DeviceVerdict> known;
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

DeviceVerdict ask_device(const DeviceTest& test, double seconds) {
  const auto key = key_of(test);
  auto& known = known_verdicts();
  if (const auto found = known.find(key.dump()); found != known.end()) return found->second;
  auto verdict = kept_under(key);
  if (verdict) return known[key.dump()] = *verdict;
  spdlog::info("{}: testing {} in {} (once for this build and GPU, at most {:g} s)",
               test.device.str(),
               test.kind == DeviceTest::Kind::kernels ? "fused kernels" : "a recorded step",
               test.precision, seconds);
  const auto finding = ask_worker(test, seconds);
  verdict = DeviceVerdict{.problem = finding.problem, .time = text_of(std::time(nullptr))};
  if (finding.lasts) {
    known[key.dump()] = *verdict;
    store({.key = key,
           .problem = finding.problem,
           .time = std::time(nullptr),
           .expires = finding.lifetime == 0 ? 0 : std::time(nullptr) + finding.lifetime},
          test.device);
  }
  return *verdict;
}

std::optional<DeviceVerdict> kept_verdict(const DeviceTest& test) {
  return kept_under(key_of(test));
}

bool is_tested(const torch::Device& device) {
  return device.is_cuda() || !variable(kWorker).empty();
}

void forget_verdicts() {
  known_verdicts().clear();
  std::error_code error;
  if (const auto file = verdict_file(); !file.empty()) std::filesystem::remove(file, error);
}

void answer_device_test(const DeviceTest& test) {
  const nlohmann::json verdict = {{"problem", run_device_test(test)}};
  const auto text = verdict.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::printf("%s%s\n", kMark.data(), text.c_str());
  std::_Exit(std::fflush(stdout) == 0 ? 0 : 1);
}

}  // namespace xception
