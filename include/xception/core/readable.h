#pragma once

#include <string>
#include <string_view>

namespace xception {

/// A name from a file as a message shows it: at most 80 bytes, `?` for what isn't printable.
[[nodiscard]] inline std::string readable(std::string_view name) {
  constexpr std::size_t kLongest = 80;
  std::string text(name.substr(0, kLongest));
  for (char& letter : text) {
    const auto code = static_cast<unsigned char>(letter);
    if (code < 0x20 || code >= 0x7F) letter = '?';
  }
  return name.size() > kLongest ? text + "..." : text;
}

}  // namespace xception
