#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "xception/models/classifier.h"
#include "xception/weights/weight_file.h"

namespace xception {

struct FitOptions {
  /// Whether the final layers of a model with another number of classes keep their fresh weights
  /// (fine-tuning); else another number of classes is an error.
  bool replace_head = false;
};

/// What became of a file's tensors and a model's. Names are the model's, but for `unexpected`.
struct FitReport {
  /// A tensor that has another shape in the file than in the model.
  struct OtherSize {
    std::string name;
    std::vector<std::int64_t> found, expected;
  };

  std::string source = {};                ///< whose names they are: "timm legacy_xception", ...
  std::vector<std::string> matched = {};  ///< copied into the model
  std::vector<std::string> missing =
      {};  ///< of the model, not in the file: they keep what they had
  std::vector<std::string> unexpected = {};  ///< of the file, by its names: not read
  /// Of the final layers: they keep their fresh weights (FitOptions::replace_head).
  std::vector<OtherSize> other_size = {};

  /// For people: how many were copied, which layers keep their fresh weights, what wasn't read.
  [[nodiscard]] std::string summary() const;
};

/// What fit_weights would copy; nothing is changed and no difference is an error.
[[nodiscard]] FitReport compare_weights(const Classifier& model, const WeightFile& weights);

/// A file's tensors under the model's names and in its layouts, on the CPU; those that the model
/// doesn't have keep the file's names.
[[nodiscard]] TensorMap map_weights(const Classifier& model, const WeightFile& weights);

/// Copies a file's weights into a model's parameters and buffers, in place and converted to their
/// dtype and device, by name. Names may be ours, which are timm's (legacy_xception, inception_v3)
/// and torchvision's (the others), or Keras's (Xception), whose layouts are converted too. What
/// else a model must be set to, recognize_weights says.
///
/// May be missing: `num_batches_tracked`; the whole auxiliary heads. May be left unread:
/// auxiliary heads that the model doesn't have. Errors (input): any other tensor that is missing,
/// unexpected or of another size (another number of classes too, unless options.replace_head); a
/// value that isn't finite where the model's dtype can't hold it. The line names the first few,
/// what was found and what was expected. The model is then as it was.
FitReport fit_weights(Classifier& model, const WeightFile& weights, const FitOptions& options = {});

}  // namespace xception
