#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "xception/models/classifier.h"
#include "xception/models/kernel_choice.h"
#include "xception/parallel/device.h"
#include "xception/train/checkpoint.h"
#include "xception/train/run_config.h"

namespace xception {

/// A trained model, ready to use.
struct LoadedRun {
  RunConfig config;
  std::shared_ptr<Classifier> model;  ///< in evaluation mode, on the device
  TrainingPosition place = {};        ///< of its checkpoint
  Kernels kernels = Kernels::reference;
  std::vector<std::string> class_names = {};  ///< `class N` where none is known
};

/// Builds the model of a run and loads its checkpoint `best` or `last`. Errors (input): no run, no
/// checkpoint, damaged.
[[nodiscard]] LoadedRun load_run(const std::filesystem::path& run, const std::string& checkpoint,
                                 const torch::Device& device);

/// Builds the model of a file of weights and loads them. Which model it is, how images are
/// transformed and the classes' names are what the file says of itself (train/model_card.h), else
/// what its tensors' names and shapes tell (recognize_weights); `overrides` (`key=value`) come
/// last. Errors (input): damaged, or weights that fit no model.
[[nodiscard]] LoadedRun load_weights(const std::filesystem::path& file,
                                     const std::vector<std::string>& overrides,
                                     const torch::Device& device);

}  // namespace xception
