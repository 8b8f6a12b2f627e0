#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "xception/models/model_config.h"
#include "xception/weights/weight_file.h"

namespace xception {

/// What a file's weights are, as far as its names and shapes tell.
struct KnownWeights {
  std::string source = {};  ///< "Keras Xception", "timm legacy_xception", ...
  ModelConfig model = {};   ///< the model of ours that computes the same
  /// The keys that differ from a default config's, with their values as on a command line.
  std::vector<std::pair<std::string, std::string>> settings = {};
  /// What a file can't tell, a sentence each: how images must be normalized, ...
  std::vector<std::string> remarks = {};
};

/// Which of our models a file's weights fit; nothing where they fit none.
[[nodiscard]] std::optional<KnownWeights> recognize_weights(const WeightFile& weights);

/// Whose names a file's tensors have: KnownWeights::source, or "unknown".
[[nodiscard]] std::string weights_source(const WeightFile& weights);

}  // namespace xception
