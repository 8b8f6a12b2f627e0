#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace xception {

/// How a run stands, as `status` in its summary.json says: `running` also of one whose process was
/// killed, `paused` after train.stop_after_epoch, `interrupted` by a signal, `unknown` where there
/// is no summary yet or another word in it.
enum class RunStatus { unknown, running, paused, complete, interrupted, failed };

// Conversions between the enum and JSON: `json = status`, `json.value("status",
// RunStatus::unknown)`.
NLOHMANN_JSON_SERIALIZE_ENUM(RunStatus, {{RunStatus::unknown, "unknown"},
                                         {RunStatus::running, "running"},
                                         {RunStatus::paused, "paused"},
                                         {RunStatus::complete, "complete"},
                                         {RunStatus::interrupted, "interrupted"},
                                         {RunStatus::failed, "failed"}})

/// The word in summary.json.
[[nodiscard]] inline std::string text_of(RunStatus status) {
  return nlohmann::json(status);
}

}  // namespace xception
