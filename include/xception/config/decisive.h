#pragma once

#include <nlohmann/json.hpp>

namespace xception {

/// A run's config (as `to_json` writes it) without the keys that cannot change its result: paths,
/// threads, ranks, logging. Keys that are missing are no error: an older version wrote it.
[[nodiscard]] nlohmann::ordered_json decisive_config(nlohmann::ordered_json config);

}  // namespace xception
