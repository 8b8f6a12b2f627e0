#pragma once

#include <any>
#include <cstdint>
#include <limits>
#include <list>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
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

/// What a string key accepts; empty: any string.
using Choices = std::vector<std::string>;

/// The variable that holds a key's value. It isn't owned. Its type is the key's.
using KeyVariable = std::variant<
    std::int64_t*, double*, bool*, std::string*,
    std::optional<double>*,     ///< `null` in JSON: chosen by the program, as the meaning says
    std::vector<double>*,       ///< a list of exactly as many numbers as the default has
    std::vector<std::string>*,  ///< a list of strings; one string counts as a list of one
    nlohmann::json*,          ///< a list of objects, each with a `name`, checked by who builds them
    const nlohmann::json**>;  ///< any JSON; set to the value within what was read, null if absent

/// What a key's value bears on, besides being checked and shown.
struct KeyUse {
  bool decides = true;         ///< a run's result depends on it, not only where or how it is made
  bool may_change = false;     ///< a run that goes on may have another value than it began with
  bool training_only = false;  ///< neither evaluation nor the reading of data looks at it
  /// It came after runs were made without it, and its default means what they did: at its default
  /// it is no difference to them (decisive_config).
  bool newer = false;
};

/// A key of a JSON object. A section declares each of its keys once, in a function that returns a
/// list of them; reading, writing, range checks and `xception config --schema` go over that list,
/// which must not outlive the variables.
struct Key {
  std::string name;
  KeyVariable variable;                            ///< its value beforehand is the default
  std::variant<Range, Choices> accepts = Range{};  ///< Range: of a number, or of each in a list
  std::string meaning;
  /// The components that read it, by name, which the meaning in the schema begins with; empty: it
  /// is read whichever component is chosen.
  std::vector<std::string> readers = {};
  KeyUse use = {};
};

/// The options that components (models, optimizers, schedules) have for themselves. `Options` is a
/// component's struct of them, with their defaults and `std::vector<Key> keys()`.
class ComponentOptions {
 public:
  /// A component's own, which stay where they are while this object lives.
  template <class Options>
  [[nodiscard]] Options& own() {
    for (auto& options : all_) {
      if (auto* found = std::any_cast<Options>(&options)) return *found;
    }
    return all_.emplace_back().template emplace<Options>();
  }
  template <class Options>
  [[nodiscard]] Options own() const {
    return ComponentOptions(*this).own<Options>();
  }

 private:
  std::list<std::any> all_;  ///< at most one of a type, made when it is first asked for
};

/// The keys of a component's own options.
template <class Options>
[[nodiscard]] std::vector<Key> own_keys(ComponentOptions& config) {
  return config.own<Options>().keys();
}

/// The same keys, marked as KeyUse::newer.
[[nodiscard]] std::vector<Key> newer(std::vector<Key> keys);

/// Adds a component's own keys to those of its section. A name that several components have is one
/// key of the section, which all of them read; they agree on its default and on what it accepts.
void add_keys(std::vector<Key>& section, const std::string& component, std::vector<Key> keys);

/// The dotted keys that were given another value than in `defaults` (the same keys) though the
/// component `chosen` doesn't read them.
[[nodiscard]] std::vector<std::string> unread_keys(const std::string& section,
                                                   const std::vector<Key>& keys,
                                                   const std::vector<Key>& defaults,
                                                   const std::set<std::string>& given,
                                                   const std::string& chosen);

/// One key as `xception config --schema` lists it.
struct KeyDescription {
  std::string key;   ///< dotted, `optimizer.lr`
  std::string type;  ///< integer, number, boolean, string, list
  nlohmann::json default_value;
  std::string range;  ///< range or choices in words; empty where any value will do
  std::string meaning;
  KeyUse use = {};
};

/// Sets a key's variable. Returns what is wrong with the value, as the end of a message (`found 3,
/// expected true or false`); empty: nothing is.
[[nodiscard]] std::string assign(const Key& key, const nlohmann::json& value);

/// Reads an object's keys into their variables, and adds the dotted names of those present to
/// `given`. Errors (input): unknown key (proposes the nearest of `keys`, or of `elsewhere`), wrong
/// type, out of range; the message names `where` (`configs/a.json`), the dotted key, what was found
/// and what is expected.
void read_keys(const nlohmann::json& object, const std::string& where, const std::string& prefix,
               const std::vector<Key>& keys, std::set<std::string>& given,
               const std::vector<std::string>& elsewhere = {});

/// The keys with their values.
[[nodiscard]] nlohmann::ordered_json write_keys(const std::vector<Key>& keys);

/// The keys with type, value as the default, range and meaning.
[[nodiscard]] std::vector<KeyDescription> list_keys(const std::string& prefix,
                                                    const std::vector<Key>& keys);

/// A value as messages show it: JSON, cut after 60 characters.
[[nodiscard]] std::string shown(const nlohmann::json& value);

/// Where a dotted key stands in a config's JSON: `train.epochs` at /train/epochs, `seed` at /seed.
/// `config[dotted_key(key)]` reads or writes it.
[[nodiscard]] nlohmann::json::json_pointer dotted_key(const std::string& key);

/// The nearest of `names` to `word` by edit distance, or empty if none is near.
[[nodiscard]] std::string nearest_name(std::string_view word,
                                       const std::vector<std::string>& names);

}  // namespace xception
