#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "xception/core/input_file.h"

namespace xception {

/// What a safetensors file says of one tensor. The bytes lie in the file at [begin, end).
struct SafetensorsEntry {
  std::string name;
  std::string dtype;  ///< a name of safetensors_dtypes()
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

struct SafetensorsHeader {
  std::string bytes;                      ///< the file's beginning, up to the data
  std::vector<SafetensorsEntry> entries;  ///< in the order of their bytes, without gaps
  std::map<std::string, std::string> metadata;
};

/// The format's dtypes that this program reads, with their bytes a value.
[[nodiscard]] const std::map<std::string, std::uint64_t>& safetensors_dtypes();

/// Reads and checks a file's header against the file's length: whatever it lets pass can be read.
/// It refuses what the reference implementation refuses (and a name given twice, of which that one
/// keeps the last). Errors (input).
[[nodiscard]] SafetensorsHeader read_safetensors_header(const InputFile& file);

}  // namespace xception
