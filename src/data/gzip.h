#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace xception {

/// Whether bytes begin as a gzip file does.
[[nodiscard]] bool is_gzip(std::string_view bytes);

/// The first `limit` bytes of what a gzip file holds, or all if it holds less. The memory that it
/// takes is what was unpacked: a header that lies costs nothing. Errors (input): damaged, cut
/// short; `name` stands for the file in messages.
[[nodiscard]] std::string gunzip(std::string_view bytes, std::size_t limit,
                                 const std::string& name);

}  // namespace xception
