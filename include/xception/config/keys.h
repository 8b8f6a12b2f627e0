#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace xception {

/// The values that a numeric key accepts.
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_open = false;   ///< `low` itself is refused
  bool high_open = false;  ///< `high` itself is refused

  [[nodiscard]] bool contains(double value) const noexcept;
  /// In words: `> 0`, `0 .. 1`, `>= 1`; empty where any number will do.
  [[nodiscard]] std::string text() const;
};

[[nodiscard]] constexpr Range at_least(double low) {
  return Range{.low = low};
}
[[nodiscard]] constexpr Range above(double low) {
  return Range{.low = low, .low_open = true};
}
[[nodiscard]] constexpr Range between(double low, double high) {
  return Range{.low = low, .high = high};
}
/// low <= x < high
[[nodiscard]] constexpr Range below(double low, double high) {
  return Range{.low = low, .high = high, .high_open = true};
}

using Choices = std::vector<std::string>;

/// The keys of a section, each declared once, in one function a section: its name, the member that
/// holds it (whose value beforehand is the default), what it accepts and what it means. Reading,
/// writing, range checks and `xception config --schema` are visitors over that one declaration.
class KeyVisitor {
 public:
  virtual ~KeyVisitor() = default;

  virtual void key(std::string_view name, std::int64_t& value, Range range,
                   std::string_view meaning) = 0;
  virtual void key(std::string_view name, double& value, Range range, std::string_view meaning) = 0;
  /// `null` in JSON is "chosen by the program", as the meaning says.
  virtual void key(std::string_view name, std::optional<double>& value, Range range,
                   std::string_view meaning) = 0;
  virtual void key(std::string_view name, bool& value, std::string_view meaning) = 0;
  /// An empty list of choices accepts any string.
  virtual void key(std::string_view name, std::string& value, const Choices& choices,
                   std::string_view meaning) = 0;
  /// A list of exactly as many numbers as the default has.
  virtual void key(std::string_view name, std::vector<double>& value, Range range,
                   std::string_view meaning) = 0;
  /// A list of objects, each with a `name`, checked by whoever builds from it.
  virtual void list(std::string_view name, nlohmann::json& value, std::string_view meaning) = 0;
};

/// One key as `xception config --schema` lists it.
struct KeyDescription {
  std::string key;   ///< dotted, `optimizer.lr`
  std::string type;  ///< integer, number, boolean, string, list
  nlohmann::json default_value;
  std::string range;  ///< range or choices in words; empty where any value will do
  std::string meaning;
};

/// Reads an object's keys into whatever `visit` declares, and adds the dotted names of those
/// present to `given`. Errors (input): unknown key (proposes the nearest of the declared ones, or
/// of `elsewhere`), wrong type, out of range; the message names `where` (`configs/a.json`), the
/// dotted key, what was found and what is expected.
void read_keys(const nlohmann::json& object, const std::string& where, const std::string& prefix,
               const std::function<void(KeyVisitor&)>& visit, std::set<std::string>& given,
               const std::vector<std::string>& elsewhere = {});

/// The declared keys with their values.
[[nodiscard]] nlohmann::ordered_json write_keys(const std::function<void(KeyVisitor&)>& visit);

/// The declared keys with type, value as the default, range and meaning.
[[nodiscard]] std::vector<KeyDescription> list_keys(const std::string& prefix,
                                                    const std::function<void(KeyVisitor&)>& visit);

/// The nearest of `names` to `word` by edit distance, or empty if none is near.
[[nodiscard]] std::string nearest_name(std::string_view word,
                                       const std::vector<std::string>& names);

}  // namespace xception
