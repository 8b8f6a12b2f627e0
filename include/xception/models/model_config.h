#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "xception/config/keys.h"

namespace xception {

/// `model.*`: which network. The options that a model has for itself are its own struct's:
/// `config.own<XceptionOptions>().width`. A key that the chosen model doesn't have may not be set.
struct ModelConfig : ComponentOptions {
  std::string name = "xception";  ///< a name of the models' registry
  std::string variant;            ///< empty: the model's first variant
  std::int64_t num_classes = 10;
  std::optional<double> dropout;  ///< before the classifier; unset: the model's own
  std::optional<double> bn_eps;   ///< BatchNorm's epsilon; unset: the model's own
  // Keys of those models only that have an auxiliary head.
  std::optional<double> aux_weight;  ///< of the head's loss; unset: the model's own; 0 without one
  bool aux_logits = true;            ///< whether the head is built

  /// These and every model's own, in the order in which a config is written.
  [[nodiscard]] std::vector<Key> keys();
};

}  // namespace xception
