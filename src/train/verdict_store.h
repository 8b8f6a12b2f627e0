#pragma once

#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace xception {

/// What a test of a device came to, as verdict_file() keeps it.
struct KeptVerdict {
  nlohmann::json key;   ///< everything that it depends on
  std::string problem;  ///< empty: it passed
  std::time_t time = 0;
  std::time_t expires = 0;  ///< 0: never
};

/// The one under a key that is still good. A file that is missing, damaged or somebody else's has
/// none.
[[nodiscard]] std::optional<KeptVerdict> find_verdict(const nlohmann::json& key);

/// Keeps other processes from testing for as long as it lives, but waits no longer than so for
/// those; where there can be no lock it is none.
class VerdictLock {
 public:
  explicit VerdictLock(std::chrono::milliseconds patience);
  ~VerdictLock();
  VerdictLock(const VerdictLock&) = delete;
  VerdictLock& operator=(const VerdictLock&) = delete;

 private:
  int descriptor_ = -1;
};

/// Adds one, in place of what was under its key; the oldest of many go. Processes that do so at
/// once don't harm the file: one's verdict may be lost, and is then found out again. Errors: it
/// cannot be written.
void keep_verdict(const KeptVerdict& verdict);

}  // namespace xception
