#pragma once

#include <filesystem>
#include <string>

namespace xception {

/// A path as text for JSON, which is UTF-8: itself, or if its bytes aren't UTF-8 the absolute path
/// as a `file://` URI with those bytes as %XX.
[[nodiscard]] std::string text_of_path(const std::filesystem::path& path);

/// The path of such a text.
[[nodiscard]] std::filesystem::path path_of_text(const std::string& text);

}  // namespace xception
