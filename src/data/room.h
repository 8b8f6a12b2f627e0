#pragma once

#include <string_view>

namespace xception {

/// Whose errors these are.
inline constexpr std::string_view kRoom = "data";

}  // namespace xception
