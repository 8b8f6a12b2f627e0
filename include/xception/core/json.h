#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace xception {

/// Parses strict JSON. Errors (input): malformed (with line and column), a key given twice, lists
/// and objects more than 100 deep in one another; `where` (a file's name) starts the message,
/// `room` its origin.
[[nodiscard]] nlohmann::json parse_json(std::string_view text, std::string_view room,
                                        const std::string& where);

/// The same, but what parse_json refuses is a discarded value (`is_discarded()`). Json:
/// nlohmann::json or nlohmann::ordered_json.
template <class Json = nlohmann::json>
[[nodiscard]] Json json_or_discarded(std::string_view text);

/// Reads and parses a file. Errors (input): as `read_file` and `parse_json`.
[[nodiscard]] nlohmann::json read_json(const std::filesystem::path& file, std::string_view room);

/// Writes indented JSON, atomically. Errors (run).
void write_json(const std::filesystem::path& file, const nlohmann::ordered_json& value);

}  // namespace xception
