#pragma once

#include <string>
#include <vector>

#include "xception/models/model_config.h"

namespace xception {

/// The key `model.stem`, of the models that have a form for small images.
struct StemOptions {
  /// `standard`: the first layers as published, which make a large image smaller. `small`: they
  /// keep the size of images such as CIFAR's 32 px. Names are the same; each model says what
  /// becomes of its layers.
  std::string stem = "standard";

  [[nodiscard]] std::vector<Key> keys();
};

/// Whether the config asks for the small one. Error (input): neither `standard` nor `small`.
[[nodiscard]] bool has_small_stem(const ModelConfig& config);

}  // namespace xception
