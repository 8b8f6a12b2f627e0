#include "xception/core/paths.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>
#include <string_view>

namespace xception {
namespace {

constexpr std::string_view kScheme = "file://";

bool is_utf8(const std::string& text) {
  try {
    (void)nlohmann::json(text).dump();
    return true;
  } catch (const nlohmann::json::type_error&) {
    return false;
  }
}

}  // namespace

std::string text_of_path(const std::filesystem::path& path) {
  const auto text = path.string();
  if (is_utf8(text)) return text;
  std::string uri(kScheme);
  for (const char c : std::filesystem::absolute(path).string()) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = byte > 0x20 && byte < 0x7F && c != '%' && c != '?' && c != '#';
    uri += plain ? std::string(1, c) : fmt::format("%{:02X}", byte);
  }
  return uri;
}

std::filesystem::path path_of_text(const std::string& text) {
  if (!text.starts_with(kScheme)) return text;
  std::string path;
  for (std::size_t at = kScheme.size(); at < text.size(); ++at) {
    const char* digits = text.data() + at + 1;
    unsigned char byte = 0;
    if (text[at] == '%' && at + 2 < text.size() &&
        std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
      path += static_cast<char>(byte);
      at += 2;
    } else {
      path += text[at];
    }
  }
  return path;
}

}  // namespace xception
