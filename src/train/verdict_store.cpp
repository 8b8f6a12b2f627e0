#include "verdict_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>

#include "xception/core/error.h"
#include "xception/core/files.h"
#include "xception/core/json.h"
#include "xception/train/device_test.h"

namespace xception {
namespace {

constexpr std::size_t kKept = 64;

std::vector<KeptVerdict> read_verdicts() {
  const auto file = verdict_file();
  std::error_code error;
  if (file.empty() || !std::filesystem::is_regular_file(file, error)) return {};
  try {
    std::vector<KeptVerdict> verdicts;
    const auto store = read_json(file, "train");
    for (const auto& item : store.at("verdicts")) {
      verdicts.push_back({.key = item.at("key"),
                          .problem = item.at("problem"),
                          .time = item.at("time"),
                          .expires = item.at("expires")});
    }
    return verdicts;
  } catch (const std::exception&) {
    return {};
  }
}

/// An absolute path that a variable holds, else an empty one: the standard of XDG_CACHE_HOME has
/// relative ones ignored.
std::filesystem::path folder_of(const char* variable) {
  const char* value = std::getenv(variable);
  const std::filesystem::path path = value == nullptr ? "" : value;
  return path.is_absolute() ? path : std::filesystem::path();
}

}  // namespace

std::optional<KeptVerdict> find_verdict(const nlohmann::json& key) {
  for (auto& verdict : read_verdicts()) {
    const bool good = verdict.expires == 0 || verdict.expires > std::time(nullptr);
    if (good && verdict.key == key) return std::move(verdict);
  }
  return std::nullopt;
}

VerdictLock::VerdictLock(std::chrono::milliseconds patience) {
  auto file = verdict_file();
  if (file.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(file.parent_path(), error);
  file.replace_extension(".lock");
  descriptor_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0) return;
  // Two tests of the one before, and the end of what doesn't want to.
  const auto end = std::chrono::steady_clock::now() + 2 * patience + std::chrono::seconds(10);
  while (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK &&
         std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

VerdictLock::~VerdictLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void keep_verdict(const KeptVerdict& verdict) {
  const auto file = verdict_file();
  if (file.empty()) throw run_error("train", "neither XDG_CACHE_HOME nor HOME names a folder");
  auto verdicts = read_verdicts();
  std::erase_if(verdicts, [&](const KeptVerdict& item) { return item.key == verdict.key; });
  verdicts.insert(verdicts.begin(), verdict);
  if (verdicts.size() > kKept) verdicts.resize(kKept);
  nlohmann::ordered_json store = {
      {"about", "what `xception` found out about devices; may be removed"},
      {"verdicts", nlohmann::ordered_json::array()}};
  for (const auto& item : verdicts) {
    store["verdicts"].push_back({{"key", item.key},
                                 {"problem", item.problem},
                                 {"time", item.time},
                                 {"expires", item.expires}});
  }
  std::filesystem::create_directories(file.parent_path());
  write_json(file, store);
}

std::filesystem::path verdict_file() {
  constexpr const char* kName = "xception/device-tests.json";
  if (const auto cache = folder_of("XDG_CACHE_HOME"); !cache.empty()) return cache / kName;
  const auto home = folder_of("HOME");
  return home.empty() ? home : home / ".cache" / kName;
}

}  // namespace xception
