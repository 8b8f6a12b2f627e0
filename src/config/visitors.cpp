#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/ranges.h>

#include "xception/config/keys.h"
#include "xception/core/error.h"

namespace xception {
namespace {

using nlohmann::json;

std::string found(const json& value) {
  std::string text = value.dump();
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

/// Collects the names that a section declares.
class NameCollector : public KeyVisitor {
 public:
  std::vector<std::string> names;

  void key(std::string_view name, std::int64_t&, Range, std::string_view) override { add(name); }
  void key(std::string_view name, double&, Range, std::string_view) override { add(name); }
  void key(std::string_view name, std::optional<double>&, Range, std::string_view) override {
    add(name);
  }
  void key(std::string_view name, bool&, std::string_view) override { add(name); }
  void key(std::string_view name, std::string&, const Choices&, std::string_view) override {
    add(name);
  }
  void key(std::string_view name, std::vector<double>&, Range, std::string_view) override {
    add(name);
  }
  void list(std::string_view name, json&, std::string_view) override { add(name); }

 private:
  void add(std::string_view name) { names.emplace_back(name); }
};

/// Reads one JSON object into a section.
class Reader : public KeyVisitor {
 public:
  Reader(const json& object, std::string where, std::string prefix, std::set<std::string>& given)
      : object_(object), where_(std::move(where)), prefix_(std::move(prefix)), given_(given) {}

  void key(std::string_view name, std::int64_t& value, Range range, std::string_view) override {
    const json* item = find(name);
    if (item == nullptr) return;
    const bool whole = item->is_number_integer() ||
                       (item->is_number_float() && std::floor(item->get<double>()) == *item &&
                        std::abs(item->get<double>()) < 9e15);
    if (!whole) throw wrong(name, *item, "an integer", range.text());
    check(name, *item, item->get<double>(), range);
    value = item->is_number_float() ? static_cast<std::int64_t>(item->get<double>())
                                    : item->get<std::int64_t>();
  }

  void key(std::string_view name, double& value, Range range, std::string_view) override {
    const json* item = find(name);
    if (item == nullptr) return;
    if (!item->is_number()) throw wrong(name, *item, "a number", range.text());
    check(name, *item, item->get<double>(), range);
    value = item->get<double>();
  }

  void key(std::string_view name, std::optional<double>& value, Range range,
           std::string_view meaning) override {
    const json* item = find(name);
    if (item == nullptr) return;
    if (item->is_null()) {
      given_.erase(dotted(name));
      value.reset();
      return;
    }
    double number = 0;
    key(name, number, range, meaning);
    value = number;
  }

  void key(std::string_view name, bool& value, std::string_view) override {
    const json* item = find(name);
    if (item == nullptr) return;
    if (!item->is_boolean()) throw wrong(name, *item, "true or false", "");
    value = item->get<bool>();
  }

  void key(std::string_view name, std::string& value, const Choices& choices,
           std::string_view) override {
    const json* item = find(name);
    if (item == nullptr) return;
    if (!item->is_string()) {
      throw wrong(name, *item, "a string",
                  choices.empty() ? "" : fmt::format("one of {}", fmt::join(choices, ", ")));
    }
    const auto text = item->get<std::string>();
    if (!choices.empty() && std::find(choices.begin(), choices.end(), text) == choices.end()) {
      const auto near = nearest_name(text, choices);
      throw input_error("config", "{}: {}: found \"{}\", expected one of {}{}", where_,
                        dotted(name), text, fmt::join(choices, ", "),
                        near.empty() ? "" : fmt::format("; did you mean {}?", near));
    }
    value = text;
  }

  void key(std::string_view name, std::vector<double>& value, Range range,
           std::string_view) override {
    const json* item = find(name);
    if (item == nullptr) return;
    const auto kind = fmt::format("a list of {} numbers", value.size());
    if (!item->is_array() || item->size() != value.size()) throw wrong(name, *item, kind, "");
    for (std::size_t i = 0; i < value.size(); ++i) {
      const json& element = item->at(i);
      if (!element.is_number()) throw wrong(name, *item, kind, range.text());
      check(name, *item, element.get<double>(), range);
      value[i] = element.get<double>();
    }
  }

  void list(std::string_view name, json& value, std::string_view) override {
    const json* item = find(name);
    if (item == nullptr) return;
    bool good = item->is_array();
    if (good) {
      for (const auto& element : *item) {
        good = good && element.is_object() && element.contains("name") &&
               element.at("name").is_string();
      }
    }
    if (!good) throw wrong(name, *item, "a list of objects, each with a \"name\"", "");
    value = *item;
  }

 private:
  [[nodiscard]] std::string dotted(std::string_view name) const {
    return prefix_.empty() ? std::string(name) : fmt::format("{}.{}", prefix_, name);
  }

  const json* find(std::string_view name) {
    const auto item = object_.find(std::string(name));
    if (item == object_.end()) return nullptr;
    given_.insert(dotted(name));
    return &*item;
  }

  [[nodiscard]] Error wrong(std::string_view name, const json& item, std::string_view type,
                            std::string_view range) const {
    return input_error("config", "{}: {}: found {}, expected {}{}{}", where_, dotted(name),
                       found(item), type, range.empty() ? "" : ", ", range);
  }

  void check(std::string_view name, const json& item, double value, Range range) const {
    if (range.contains(value)) return;
    throw input_error("config", "{}: {}: found {}, out of range; expected {}", where_, dotted(name),
                      found(item), range.text());
  }

  const json& object_;
  std::string where_;
  std::string prefix_;
  std::set<std::string>& given_;
};

class Writer : public KeyVisitor {
 public:
  nlohmann::ordered_json object = nlohmann::ordered_json::object();

  void key(std::string_view name, std::int64_t& value, Range, std::string_view) override {
    object[std::string(name)] = value;
  }
  void key(std::string_view name, double& value, Range, std::string_view) override {
    object[std::string(name)] = value;
  }
  void key(std::string_view name, std::optional<double>& value, Range, std::string_view) override {
    object[std::string(name)] =
        value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
  }
  void key(std::string_view name, bool& value, std::string_view) override {
    object[std::string(name)] = value;
  }
  void key(std::string_view name, std::string& value, const Choices&, std::string_view) override {
    object[std::string(name)] = value;
  }
  void key(std::string_view name, std::vector<double>& value, Range, std::string_view) override {
    object[std::string(name)] = value;
  }
  void list(std::string_view name, json& value, std::string_view) override {
    object[std::string(name)] = value;
  }
};

class Lister : public KeyVisitor {
 public:
  Lister(std::vector<KeyDescription>& keys, std::string prefix)
      : keys_(keys), prefix_(std::move(prefix)) {}

  void key(std::string_view name, std::int64_t& value, Range range,
           std::string_view meaning) override {
    add(name, "integer", value, range.text(), meaning);
  }
  void key(std::string_view name, double& value, Range range, std::string_view meaning) override {
    add(name, "number", value, range.text(), meaning);
  }
  void key(std::string_view name, std::optional<double>& value, Range range,
           std::string_view meaning) override {
    add(name, "number or null", value ? json(*value) : json(nullptr), range.text(), meaning);
  }
  void key(std::string_view name, bool& value, std::string_view meaning) override {
    add(name, "boolean", value, "", meaning);
  }
  void key(std::string_view name, std::string& value, const Choices& choices,
           std::string_view meaning) override {
    add(name, "string", value, fmt::format("{}", fmt::join(choices, "|")), meaning);
  }
  void key(std::string_view name, std::vector<double>& value, Range range,
           std::string_view meaning) override {
    add(name, "list of numbers", value, range.text(), meaning);
  }
  void list(std::string_view name, json& value, std::string_view meaning) override {
    add(name, "list of objects", value, "", meaning);
  }

 private:
  void add(std::string_view name, std::string type, json value, std::string range,
           std::string_view meaning) {
    keys_.push_back({prefix_ + std::string(name), std::move(type), std::move(value),
                     std::move(range), std::string(meaning)});
  }

  std::vector<KeyDescription>& keys_;
  std::string prefix_;
};

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

void read_keys(const json& object, const std::string& where, const std::string& prefix,
               const std::function<void(KeyVisitor&)>& visit, std::set<std::string>& given,
               const std::vector<std::string>& elsewhere) {
  if (!object.is_object()) {
    throw input_error("config", "{}{}{}: found {}, expected an object", where,
                      prefix.empty() ? "" : ": ", prefix, found(object));
  }
  NameCollector known;
  visit(known);
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.names.begin(), known.names.end(), key) != known.names.end()) continue;
    const auto dotted = prefix.empty() ? key : fmt::format("{}.{}", prefix, key);
    throw input_error("config", "{}: {}: unknown key; {}", where, dotted,
                      proposal(key, prefix, known.names, elsewhere));
  }
  Reader reader(object, where, prefix, given);
  visit(reader);
}

nlohmann::ordered_json write_keys(const std::function<void(KeyVisitor&)>& visit) {
  Writer writer;
  visit(writer);
  return std::move(writer.object);
}

std::vector<KeyDescription> list_keys(const std::string& prefix,
                                      const std::function<void(KeyVisitor&)>& visit) {
  std::vector<KeyDescription> keys;
  Lister lister(keys, prefix.empty() ? "" : prefix + ".");
  visit(lister);
  return keys;
}

}  // namespace xception
