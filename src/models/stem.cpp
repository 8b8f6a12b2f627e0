#include "xception/models/stem.h"

#include "xception/core/error.h"

namespace xception {

std::vector<Key> StemOptions::keys() {
  return {{.name = "stem",
           .variable = &stem,
           .accepts = Choices{"standard", "small"},
           .meaning = "first layers: as published, or keeping the size of small images",
           .use = {.newer = true}}};
}

bool has_small_stem(const ModelConfig& config) {
  const auto stem = config.own<StemOptions>().stem;
  if (stem == "small") return true;
  if (stem == "standard") return false;
  throw input_error("models", "{}: stem \"{}\": expected standard or small", config.name, stem);
}

}  // namespace xception
