#pragma once

#include <string_view>

namespace xception {

/// What stands in front of an error of this room: `[data] ...`.
inline constexpr std::string_view kRoom = "data";

}  // namespace xception
