#pragma once

#include <map>
#include <string>

#include "xception/models/classifier.h"
#include "xception/weights/weight_file.h"

namespace xception {

/// A file's tensors under our names and in our layouts.
struct NamedTensors {
  TensorMap tensors;                          ///< those without a counterpart have the file's name
  std::map<std::string, std::string> origin;  ///< our names -> the file's
};

/// Whether the tensors' names are those of Keras's layers.
[[nodiscard]] bool has_keras_names(const WeightFile& weights);

/// Those of Keras's Xception. A layer is found by its name (block1_conv1, ...); the shortcuts,
/// which Keras numbers (conv2d_1, or conv2d_57 in a model that was built later), and all layers of
/// files that have numbers only, are matched by their order in the model.
[[nodiscard]] NamedTensors from_keras(const Classifier& model, const WeightFile& weights);

/// Those of PyTorch's models, whose names are ours but for the final layer's, which some call
/// `last_linear`, `classifier` or `head.fc`.
[[nodiscard]] NamedTensors from_torch(const WeightFile& weights);

}  // namespace xception
