#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "xception/config/keys.h"

namespace xception {

/// `model.*`: which network. The options that a model has for itself are its own struct's:
/// `config.own<WidthOptions>().width`. A key that the chosen model doesn't have may not be set.
struct ModelConfig : ComponentOptions {
  std::string name = "xception";  ///< a name of the models' registry
  std::string variant;            ///< empty: the model's first variant
  std::int64_t num_classes = 10;
  std::optional<double> dropout;  ///< before the classifier; unset: the model's own
  std::optional<double> bn_eps;   ///< BatchNorm's epsilon; unset: the model's own
  // Keys of those models only that have auxiliary heads.
  std::optional<double> aux_weight;  ///< of each head's loss; unset: the model's own; 0 without one
  bool aux_logits = true;            ///< whether the heads are built

  /// These and every model's own, in the order in which a config is written.
  [[nodiscard]] std::vector<Key> keys();
  /// aux_weight and aux_logits, for those models.
  [[nodiscard]] std::vector<Key> aux_keys();
};

}  // namespace xception
