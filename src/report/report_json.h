#pragma once

#include <nlohmann/json.hpp>

#include "sections.h"

namespace xception {

/// Every figure of the report, for programs.
[[nodiscard]] nlohmann::ordered_json to_json(const ReportParts& parts);

}  // namespace xception
