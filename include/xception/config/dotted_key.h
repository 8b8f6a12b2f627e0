#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace xception {

/// Where a dotted key stands in a config's JSON: `train.epochs` at /train/epochs, `seed` at /seed.
/// `config[dotted_key(key)]` reads or writes it.
[[nodiscard]] inline nlohmann::json::json_pointer dotted_key(const std::string& key) {
  const auto dot = key.find('.');
  nlohmann::json::json_pointer pointer;
  if (dot != std::string::npos) pointer /= key.substr(0, dot);
  pointer /= key.substr(dot == std::string::npos ? 0 : dot + 1);
  return pointer;
}

}  // namespace xception
