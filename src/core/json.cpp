#include "xception/core/json.h"

#include <algorithm>
#include <set>
#include <vector>

#include "xception/core/error.h"
#include "xception/core/files.h"

namespace xception {
namespace {

/// `line 3, column 14` of a byte offset (1-based, as nlohmann's).
std::string place(std::string_view text, std::size_t byte) {
  const auto before = text.substr(0, std::min(byte > 0 ? byte - 1 : 0, text.size()));
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const auto start = before.rfind('\n');
  const auto column = start == std::string_view::npos ? before.size() + 1 : before.size() - start;
  return fmt::format("line {}, column {}", line, column);
}

/// nlohmann's own text after `column N: `, in one line.
std::string cause(const nlohmann::json::exception& error) {
  const std::string text = error.what();
  const auto start = text.find(": ");
  return start == std::string::npos ? text : text.substr(start + 2);
}

}  // namespace

nlohmann::json parse_json(std::string_view text, std::string_view room, const std::string& where) {
  // nlohmann keeps the last of two equal keys; a config in which both stand is a mistake.
  std::vector<std::set<std::string>> open;
  std::string twice;
  const auto watch = [&](int, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    if (event == nlohmann::json::parse_event_t::object_start) open.emplace_back();
    if (event == nlohmann::json::parse_event_t::object_end) open.pop_back();
    if (event == nlohmann::json::parse_event_t::key &&
        !open.back().insert(value.get<std::string>()).second && twice.empty()) {
      twice = value.get<std::string>();
    }
    return true;
  };
  try {
    auto value = nlohmann::json::parse(text, watch);
    if (!twice.empty()) {
      throw input_error(room, "{}: key \"{}\" is given twice in one object; keep one", where,
                        twice);
    }
    return value;
  } catch (const nlohmann::json::parse_error& error) {
    throw input_error(room, "{}: malformed JSON at {}: {}", where, place(text, error.byte),
                      cause(error));
  } catch (const nlohmann::json::exception& error) {
    throw input_error(room, "{}: {}", where, cause(error));
  }
}

nlohmann::json read_json(const std::filesystem::path& file, std::string_view room) {
  return parse_json(read_file(file, room), room, file.string());
}

void write_json(const std::filesystem::path& file, const nlohmann::ordered_json& value) {
  // A path that is not UTF-8 must not keep a run from being written down.
  write_file_atomic(file,
                    value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace xception
