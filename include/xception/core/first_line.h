#pragma once

#include <string>
#include <string_view>

namespace xception {

/// A text up to its first line's end: LibTorch's errors go on with a stack.
[[nodiscard]] inline std::string first_line(std::string_view text) {
  return std::string(text.substr(0, text.find('\n')));
}

}  // namespace xception
