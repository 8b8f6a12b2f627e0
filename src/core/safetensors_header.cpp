#include "safetensors_header.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "xception/core/error.h"
#include "xception/core/json.h"
#include "xception/core/readable.h"

namespace xception {
namespace {

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kLongestHeader = 100'000'000;  // the reference implementation's
constexpr std::size_t kMostDimensions = 64;            // LibTorch's

using Json = nlohmann::json;

/// A file's own line of an error about one of its tensors.
Error bad_tensor(const InputFile& file, const std::string& name, std::string_view why) {
  return input_error("core", "{}: tensor {}: {}; the file is damaged, use another copy",
                     file.name(), readable(name), why);
}

/// A whole number that is not negative; JSON has others too.
std::uint64_t count(const InputFile& file, const std::string& name, const Json& value,
                    std::string_view what) {
  if (!value.is_number_unsigned()) {
    throw bad_tensor(
        file, name,
        fmt::format("{} {}, expected a whole number from 0 on", what,
                    value.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 40)));
  }
  return value.get<std::uint64_t>();
}

/// The bytes that a shape takes. An extent of 0 makes a tensor empty, but not its strides.
std::uint64_t bytes_of(const InputFile& file, const SafetensorsEntry& entry) {
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  std::uint64_t bytes = safetensors_dtypes().at(entry.dtype);
  bool empty = false;
  for (const auto extent : entry.shape) {
    const auto size = static_cast<std::uint64_t>(std::max<std::int64_t>(extent, 1));
    empty = empty || extent == 0;
    if (bytes > kMost / size) throw bad_tensor(file, entry.name, "too large a shape");
    bytes *= size;
  }
  return empty ? 0 : bytes;
}

const Json& member(const InputFile& file, const std::string& name, const Json& value,
                   const char* key) {
  const auto found = value.is_object() ? value.find(key) : value.end();
  if (!value.is_object() || found == value.end()) {
    throw bad_tensor(file, name, fmt::format("has no \"{}\"", key));
  }
  return *found;
}

/// An entry with offsets as they stand there: from the end of the header on.
SafetensorsEntry read_entry(const InputFile& file, const std::string& name, const Json& value) {
  SafetensorsEntry entry{.name = name, .dtype = {}, .shape = {}};
  const auto& dtype = member(file, name, value, "dtype");
  entry.dtype = dtype.is_string() ? dtype.get<std::string>() : "";
  if (!safetensors_dtypes().contains(entry.dtype)) {
    throw input_error("core", "{}: tensor {}: dtype \"{}\" is not supported; convert it first",
                      file.name(), readable(name), readable(entry.dtype));
  }
  const auto& shape = member(file, name, value, "shape");
  if (!shape.is_array() || shape.size() > kMostDimensions) {
    throw bad_tensor(file, name,
                     fmt::format("shape: expected a list of at most {} numbers", kMostDimensions));
  }
  for (const auto& extent : shape) {
    const auto size = count(file, name, extent, "extent");
    if (size > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      throw bad_tensor(file, name, "too large a shape");
    }
    entry.shape.push_back(static_cast<std::int64_t>(size));
  }
  const auto& offsets = member(file, name, value, "data_offsets");
  if (!offsets.is_array() || offsets.size() != 2) {
    throw bad_tensor(file, name, "expected two data_offsets");
  }
  entry.begin = count(file, name, offsets[0], "offset");
  entry.end = count(file, name, offsets[1], "offset");
  const auto bytes = bytes_of(file, entry);
  if (entry.begin > entry.end || entry.end - entry.begin != bytes) {
    throw bad_tensor(
        file, name,
        fmt::format("has bytes {} to {}, expected {} bytes", entry.begin, entry.end, bytes));
  }
  return entry;
}

std::map<std::string, std::string> read_metadata(const InputFile& file, const Json& value) {
  std::map<std::string, std::string> metadata;
  if (value.is_null()) return metadata;
  if (!value.is_object()) {
    throw input_error("core", "{}: __metadata__ is no object; the file is damaged", file.name());
  }
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) {
      throw input_error("core", "{}: __metadata__ {}: expected text; the file is damaged",
                        file.name(), readable(key));
    }
    metadata[key] = text.get<std::string>();
  }
  return metadata;
}

/// Sorts the entries by place, moves them behind the header, and has them fill the file's rest.
void place_entries(const InputFile& file, std::vector<SafetensorsEntry>& entries,
                   std::uint64_t data) {
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  std::uint64_t place = 0;
  const auto rest = file.size() - data;
  for (auto& entry : entries) {
    if (entry.begin != place) {
      throw bad_tensor(
          file, entry.name,
          fmt::format("begins at byte {}, the one before ends at {}: they {}", entry.begin, place,
                      entry.begin < place ? "overlap" : "leave a hole"));
    }
    if (entry.end > rest) {
      throw bad_tensor(
          file, entry.name,
          fmt::format("ends at byte {} of {}: the file was cut short", entry.end, rest));
    }
    place = entry.end;
    entry.begin += data;
    entry.end += data;
  }
  if (place != rest) {
    throw input_error("core", "{}: {} bytes after the last tensor; the file is damaged",
                      file.name(), rest - place);
  }
}

}  // namespace

const std::map<std::string, std::uint64_t>& safetensors_dtypes() {
  static const std::map<std::string, std::uint64_t> table = {
      {"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8},
      {"I32", 4}, {"I16", 2}, {"I8", 1},  {"U8", 1},   {"BOOL", 1},
  };
  return table;
}

SafetensorsHeader read_safetensors_header(const InputFile& file) {
  if (file.size() < kLengthBytes) {
    throw input_error("core", "{}: {} bytes, too short for safetensors", file.name(), file.size());
  }
  SafetensorsHeader header;
  header.bytes = file.read(0, kLengthBytes);
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    length |= static_cast<std::uint64_t>(static_cast<unsigned char>(header.bytes[i])) << (8 * i);
  }
  if (length > file.size() - kLengthBytes) {
    throw input_error("core", "{}: header of {} bytes in a file of {}: cut short or no safetensors",
                      file.name(), length, file.size());
  }
  if (length > kLongestHeader) {
    throw input_error("core", "{}: header of {} bytes, expected at most {}", file.name(), length,
                      kLongestHeader);
  }
  header.bytes += file.read(kLengthBytes, length);
  const auto text = std::string_view(header.bytes).substr(kLengthBytes);
  if (!text.starts_with('{')) {
    throw input_error("core", "{}: the header is no object: no safetensors", file.name());
  }
  const auto json = parse_json(text, "core", file.name());
  for (const auto& [name, value] : json.items()) {
    if (name == "__metadata__") {
      header.metadata = read_metadata(file, value);
    } else {
      header.entries.push_back(read_entry(file, name, value));
    }
  }
  place_entries(file, header.entries, header.bytes.size());
  return header;
}

}  // namespace xception
