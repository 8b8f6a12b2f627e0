#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace xception {

// Where results go, so that none takes another's place unasked.

/// The first of `base`, `base-2`, `base-3`, ... that doesn't exist. `extension` follows the number.
[[nodiscard]] std::filesystem::path free_path(const std::filesystem::path& base,
                                              const std::string& extension = "");

/// The last of `base`, `base-2`, `base-3`, ... before one that doesn't exist; `base` if none does.
[[nodiscard]] std::filesystem::path newest_path(const std::filesystem::path& base);

/// Errors (input): the file exists. `option` named it; the message says to give --overwrite.
void refuse_existing(const std::filesystem::path& file, std::string_view option,
                     std::string_view room);

}  // namespace xception
