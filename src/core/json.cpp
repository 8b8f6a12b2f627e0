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

/// Of lists and objects in one another. What works on values goes down into them call by call, so
/// without a bound a file could exhaust the stack.
constexpr int kDeepest = 100;

template <class Json>
Json parse(std::string_view text, std::string_view room, const std::string& where) {
  using Event = typename Json::parse_event_t;
  // nlohmann keeps the last of two equal keys; a config in which both stand is a mistake.
  std::vector<std::set<std::string>> open;
  std::string twice;
  const auto watch = [&](int depth, Event event, Json& value) {
    if (depth >= kDeepest && (event == Event::object_start || event == Event::array_start)) {
      throw input_error(room,
                        "{}: lists and objects lie more than {} deep in one another, expected a "
                        "few; give a file that this program or its user wrote",
                        where, kDeepest);
    }
    if (event == Event::object_start) open.emplace_back();
    if (event == Event::object_end) open.pop_back();
    if (event == Event::key && !open.back().insert(value.template get<std::string>()).second &&
        twice.empty()) {
      twice = value.template get<std::string>();
    }
    return true;
  };
  try {
    auto value = Json::parse(text, watch);
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

}  // namespace

nlohmann::json parse_json(std::string_view text, std::string_view room, const std::string& where) {
  return parse<nlohmann::json>(text, room, where);
}

template <class Json>
Json json_or_discarded(std::string_view text) {
  try {
    return parse<Json>(text, "core", "");
  } catch (const Error&) {
    return Json(Json::value_t::discarded);
  }
}

template nlohmann::json json_or_discarded(std::string_view text);
template nlohmann::ordered_json json_or_discarded(std::string_view text);

nlohmann::json read_json(const std::filesystem::path& file, std::string_view room) {
  return parse_json(read_file(file, room), room, file.string());
}

void write_json(const std::filesystem::path& file, const nlohmann::ordered_json& value) {
  // A path that is not UTF-8 must not keep a run from being written down.
  write_file_atomic(file,
                    value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace xception
