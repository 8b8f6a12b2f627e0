#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "xception/config/keys.h"
#include "xception/core/error.h"

// A sweep file's JSON, and what its errors say: FILE: member: found X, expected Y.
namespace xception {

/// A key whose meaning is what its value must be, in the words of messages.
[[nodiscard]] Key whole_number(const std::string& name, std::int64_t& value, std::int64_t low);

/// The error (input) of a value that is not what was expected. where: see read_object.
[[nodiscard]] Error wrong(const std::string& where, const nlohmann::json& found,
                          const std::string& expected);

/// `where` of a member of an object.
[[nodiscard]] std::string place(const std::string& where, const std::string& name);

/// Reads a JSON object. where: the file and, for an object inside it, the key. Errors (input): no
/// object, an unknown key, a wrong value.
void read_object(const nlohmann::json& object, const std::string& where,
                 const std::vector<Key>& keys);

/// A member of the form {"dotted.key": value, ...}. Errors (input): no such object, or an empty
/// one; a key that no config has.
[[nodiscard]] std::vector<std::pair<std::string, nlohmann::json>> settings_of(
    const nlohmann::json& object, const std::string& where);

}  // namespace xception
