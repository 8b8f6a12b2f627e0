#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "xception/core/safetensors.h"
#include "xception/train/run_config.h"

namespace xception {

/// What a file of weights says of itself, so that it can be used without its run: the config's
/// sections `model`, `data.image_size` and `augment`, and the classes' names, as safetensors'
/// metadata `xception.config` and `xception.classes` (both JSON), and `format` = `pt`, by which
/// Python's programs know the tensors' layout.
[[nodiscard]] TextMap model_card(const RunConfig& config,
                                 const std::vector<std::string>& class_names);

/// What such a file says; of another program's file: nothing.
struct ModelCard {
  std::optional<nlohmann::json> config;  ///< a part of a config, as load_config reads it
  std::vector<std::string> class_names;
};

/// Reads metadata that model_card() wrote. Errors (input): damaged; `where` starts the message.
[[nodiscard]] ModelCard read_model_card(const TextMap& metadata, const std::string& where);

}  // namespace xception
