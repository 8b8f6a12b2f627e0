#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "xception/models/classifier.h"
#include "xception/models/model_config.h"

namespace xception {

/// A model as the program knows it. A new model is one source file, which defines its entry, and
/// one line in the table (`src/models/registry.cpp`).
struct ModelEntry {
  std::string name = {};
  std::string title = {};                  ///< as reports write it
  std::string description = {};            ///< one line, with its source
  std::vector<std::string> variants = {};  ///< the first is the default
  /// The keys of `model.*` that not every model reads.
  std::function<std::vector<Key>(ModelConfig&)> keys = {};
  std::int64_t default_image_size = 0;  ///< px
  std::int64_t min_image_size = 0;      ///< px, with its options at their defaults
  /// The same by its options; empty: they don't matter. Ask min_image_size(config).
  std::function<std::int64_t(const ModelConfig&)> min_image_size_with = {};
  double default_dropout = 0;    ///< where `model.dropout` is unset
  double default_bn_eps = 1e-5;  ///< where `model.bn_eps` is unset: as it is built
  /// px from which its auxiliary heads can run; 0: it has none.
  std::int64_t aux_min_image_size = 0;
  double default_aux_weight = 0;  ///< where `model.aux_weight` is unset and the heads can run
  /// The model that stands for it where one of each kind is tried (a GPU's self-tests, `xception
  /// bench` without a list): its units are among that one's. Empty: it stands for itself.
  std::string kind = {};
  std::function<std::shared_ptr<Classifier>(const ModelConfig&)> build = {};
};

/// Every model, in the order in which `xception models` lists them.
[[nodiscard]] const std::vector<ModelEntry>& model_registry();

/// The names of those that stand for their kind.
[[nodiscard]] std::vector<std::string> one_model_of_each_kind();

/// The entry of a name. Error (input): unknown name; proposes the nearest.
[[nodiscard]] const ModelEntry& find_model(const std::string& name);

/// The smallest image that the config's model takes, px. Error (input): unknown name.
[[nodiscard]] std::int64_t min_image_size(const ModelConfig& config);

/// Fills in what the config leaves to the model and checks the rest against the model's limits.
///
/// Filled in: an empty variant (the model's first), an unset dropout or bn_eps (the model's own),
/// an unset aux_weight (the model's own if it has auxiliary heads, `aux_logits` has them built and
/// the image is large enough for them; else 0).
///
/// image_size: of the network's input, px. given: the dotted keys that a file or the command line
/// gave.
///
/// Errors (input): unknown name or variant; a key of `model.*` in `given` that the model doesn't
/// read, with another value than the default (a resolved config that is read back gives every key);
/// an image below the minimum; an aux_weight above 0 without `aux_logits` or with an image too
/// small for the head (299 px for Inception V3).
///
/// Resolving a resolved config changes nothing.
void resolve_model(ModelConfig& config, std::int64_t image_size,
                   const std::set<std::string>& given);

/// Sets keys of `model.*` that the config's model doesn't read, `variant` too, back to their
/// defaults: `keys` (dotted), which were meant for the model `meant_for`. Returns those that are
/// set back, in the order of ModelConfig::keys(); none where the two are one model, or where the
/// config's is unknown.
std::vector<std::string> reset_foreign_keys(ModelConfig& config, const std::string& meant_for,
                                            const std::set<std::string>& keys);

/// Error (input): the config's variant is none of these, nor empty.
void check_variant(const ModelConfig& config, const std::vector<std::string>& variants);

/// Builds a model with freshly initialized parameters, drawn from the CPU generator, on the CPU,
/// float32, contiguous, in training mode. What the config leaves open has the model's default,
/// except aux_weight, which is 0 until resolved.
/// Errors (input): unknown name, variant or spelling of an option.
[[nodiscard]] std::shared_ptr<Classifier> build_model(const ModelConfig& config);

}  // namespace xception
