#include "xception/config/keys.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "xception/core/error.h"

namespace xception {
namespace {

using nlohmann::json;

std::string wrong(const json& item, const std::string& type, const std::string& range = "") {
  return fmt::format("found {}, expected {}{}{}", shown(item), type, range.empty() ? "" : ", ",
                     range);
}

std::string out_of_range(const json& item, const Range& range) {
  return fmt::format("found {}, out of range; expected {}", shown(item), range.text());
}

// A function for each kind of variable: sets it, or returns what is wrong with the item.
struct Assign {
  const Key& key;
  const json& item;
  const Range range =
      std::holds_alternative<Range>(key.accepts) ? std::get<Range>(key.accepts) : Range{};

  std::string operator()(std::int64_t* value) const {
    const bool whole = item.is_number_integer() ||
                       (item.is_number_float() && std::floor(item.get<double>()) == item &&
                        std::abs(item.get<double>()) < 9e15);
    if (!whole) return wrong(item, "an integer", range.text());
    if (!range.contains(item.get<double>())) return out_of_range(item, range);
    *value = item.is_number_float() ? static_cast<std::int64_t>(item.get<double>())
                                    : item.get<std::int64_t>();
    return "";
  }

  std::string operator()(double* value) const {
    if (!item.is_number()) return wrong(item, "a number", range.text());
    if (!range.contains(item.get<double>())) return out_of_range(item, range);
    *value = item.get<double>();
    return "";
  }

  std::string operator()(std::optional<double>* value) const {
    if (item.is_null()) {
      value->reset();
      return "";
    }
    double number = 0;
    auto problem = (*this)(&number);
    if (problem.empty()) *value = number;
    return problem;
  }

  std::string operator()(bool* value) const {
    if (!item.is_boolean()) return wrong(item, "true or false");
    *value = item.get<bool>();
    return "";
  }

  std::string operator()(std::string* value) const {
    const auto* choices = std::get_if<Choices>(&key.accepts);
    const bool any = choices == nullptr || choices->empty();
    const auto expected = any ? "" : fmt::format("one of {}", fmt::join(*choices, ", "));
    if (!item.is_string()) return wrong(item, "a string", expected);
    const auto text = item.get<std::string>();
    if (!any && std::find(choices->begin(), choices->end(), text) == choices->end()) {
      const auto near = nearest_name(text, *choices);
      return fmt::format("found \"{}\", expected {}{}", text, expected,
                         near.empty() ? "" : fmt::format("; did you mean {}?", near));
    }
    *value = text;
    return "";
  }

  std::string operator()(std::vector<double>* value) const {
    const auto kind = fmt::format("a list of {} numbers", value->size());
    if (!item.is_array() || item.size() != value->size()) return wrong(item, kind);
    for (const auto& element : item) {
      if (!element.is_number()) return wrong(item, kind, range.text());
      if (!range.contains(element.get<double>())) return out_of_range(item, range);
    }
    *value = item.get<std::vector<double>>();
    return "";
  }

  std::string operator()(std::vector<std::string>* value) const {
    const auto list = item.is_string() ? json::array({item}) : item;
    const auto is_text = [](const json& element) { return element.is_string(); };
    if (!list.is_array() || !std::all_of(list.begin(), list.end(), is_text)) {
      return wrong(item, "a list of strings");
    }
    *value = list.get<std::vector<std::string>>();
    return "";
  }

  std::string operator()(json* value) const {
    const bool good =
        item.is_array() && std::all_of(item.begin(), item.end(), [](const json& element) {
          return element.is_object() && element.contains("name") && element["name"].is_string();
        });
    if (!good) return wrong(item, "a list of objects, each with a \"name\"");
    *value = item;
    return "";
  }

  std::string operator()(const json** value) const {
    *value = &item;
    return "";
  }
};

nlohmann::ordered_json value_of(const Key& key) {
  return std::visit(
      [](const auto* variable) -> nlohmann::ordered_json {
        if constexpr (std::is_same_v<decltype(variable), const std::optional<double>*>) {
          return *variable ? nlohmann::ordered_json(**variable) : nullptr;
        } else if constexpr (std::is_same_v<decltype(variable), const json* const*>) {
          return *variable != nullptr ? nlohmann::ordered_json(**variable) : nullptr;
        } else {
          return *variable;
        }
      },
      key.variable);
}

/// What `xception config --schema` calls the kinds of KeyVariable, in their order.
constexpr std::array kTypes = {"integer",         "number",          "boolean",
                               "string",          "number or null",  "list of numbers",
                               "list of strings", "list of objects", "any"};
static_assert(kTypes.size() == std::variant_size_v<KeyVariable>);

/// The keys of other sections that have this very name: `train.epochs` for `epochs`.
std::string same_name(const std::string& key, const std::vector<std::string>& elsewhere) {
  std::vector<std::string> found;
  for (const auto& name : elsewhere) {
    if (name.ends_with("." + key)) found.push_back(name);
  }
  return fmt::format("{}", fmt::join(found, " or "));
}

/// What an unknown key may have been meant to be.
std::string proposal(const std::string& key, const std::string& prefix,
                     const std::vector<std::string>& known,
                     const std::vector<std::string>& elsewhere) {
  auto near = same_name(key, elsewhere);
  if (near.empty()) {
    near = nearest_name(key, known);
    if (!near.empty() && !prefix.empty()) near = fmt::format("{}.{}", prefix, near);
  }
  if (near.empty()) {
    near = nearest_name(prefix.empty() ? key : fmt::format("{}.{}", prefix, key), elsewhere);
  }
  if (!near.empty()) return fmt::format("did you mean {}?", near);
  if (prefix.empty()) return "xception config --schema lists all keys";
  return fmt::format("expected one of {}", fmt::join(known, ", "));
}

}  // namespace

std::string shown(const json& value) {
  auto text = value.dump();
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

std::string assign(const Key& key, const json& value) {
  return std::visit(Assign{key, value}, key.variable);
}

void read_keys(const json& object, const std::string& where, const std::string& prefix,
               const std::vector<Key>& keys, std::set<std::string>& given,
               const std::vector<std::string>& elsewhere) {
  if (!object.is_object()) {
    throw input_error("config", "{}{}{}: found {}, expected an object", where,
                      prefix.empty() ? "" : ": ", prefix, shown(object));
  }
  std::vector<std::string> known;
  for (const auto& key : keys) known.push_back(key.name);
  const auto dotted = [&](const std::string& name) {
    return prefix.empty() ? name : fmt::format("{}.{}", prefix, name);
  };
  for (const auto& [name, value] : object.items()) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    throw input_error("config", "{}: {}: unknown key; {}", where, dotted(name),
                      proposal(name, prefix, known, elsewhere));
  }
  for (const auto& key : keys) {
    const auto item = object.find(key.name);
    if (item == object.end()) continue;
    if (const auto problem = assign(key, *item); !problem.empty()) {
      throw input_error("config", "{}: {}: {}", where, dotted(key.name), problem);
    }
    given.insert(dotted(key.name));
    if (item->is_null()) given.erase(dotted(key.name));  // the program's choice again
  }
}

nlohmann::ordered_json write_keys(const std::vector<Key>& keys) {
  auto object = nlohmann::ordered_json::object();
  for (const auto& key : keys) object.emplace(key.name, value_of(key));
  return object;
}

std::vector<KeyDescription> list_keys(const std::string& prefix, const std::vector<Key>& keys) {
  std::vector<KeyDescription> descriptions;
  std::set<std::string> names;
  for (const auto& key : keys) {
    if (!names.insert(key.name).second) continue;
    const auto* range = std::get_if<Range>(&key.accepts);
    const auto readers = fmt::format("{}", fmt::join(key.readers, ", "));
    descriptions.push_back(
        {.key = prefix.empty() ? key.name : fmt::format("{}.{}", prefix, key.name),
         .type = kTypes.at(key.variable.index()),
         .default_value = value_of(key),
         .range = range != nullptr
                      ? range->text()
                      : fmt::format("{}", fmt::join(std::get<Choices>(key.accepts), "|")),
         .meaning = readers.empty() ? key.meaning : fmt::format("{}: {}", readers, key.meaning),
         .use = key.use});
  }
  return descriptions;
}

std::vector<Key> newer(std::vector<Key> keys) {
  for (auto& key : keys) key.use.newer = true;
  return keys;
}

void add_keys(std::vector<Key>& section, const std::string& component, std::vector<Key> keys) {
  for (auto& key : keys) {
    const auto same = std::find_if(section.begin(), section.end(),
                                   [&](const Key& other) { return other.name == key.name; });
    const bool is_new = same == section.end();
    (is_new ? key : *same).readers.push_back(component);
    // Another variable of the same key: it is read into both.
    if (is_new || same->variable != key.variable) section.push_back(std::move(key));
  }
}

std::vector<std::string> unread_keys(const std::string& section, const std::vector<Key>& keys,
                                     const std::vector<Key>& defaults,
                                     const std::set<std::string>& given,
                                     const std::string& chosen) {
  std::vector<std::string> unread;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto& readers = keys[i].readers;
    const auto dotted = fmt::format("{}.{}", section, keys[i].name);
    if (!readers.empty() && std::find(readers.begin(), readers.end(), chosen) == readers.end() &&
        given.contains(dotted) && value_of(keys[i]) != value_of(defaults[i])) {
      unread.push_back(dotted);
    }
  }
  return unread;
}

bool Range::contains(double value) const noexcept {
  if (std::isnan(value)) return false;
  return (low_open ? value > low : value >= low) && (high_open ? value < high : value <= high);
}

std::string Range::text() const {
  const bool has_low = std::isfinite(low);
  const bool has_high = std::isfinite(high);
  if (has_low && has_high) {
    return fmt::format("{} {} x {} {}", low, low_open ? "<" : "<=", high_open ? "<" : "<=", high);
  }
  if (has_low) return fmt::format("{} {}", low_open ? ">" : ">=", low);
  if (has_high) return fmt::format("{} {}", high_open ? "<" : "<=", high);
  return "";
}

json::json_pointer dotted_key(const std::string& key) {
  const auto dot = key.find('.');
  json::json_pointer pointer;
  if (dot != std::string::npos) pointer /= key.substr(0, dot);
  return pointer /= key.substr(dot == std::string::npos ? 0 : dot + 1);
}

}  // namespace xception
