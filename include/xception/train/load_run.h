#pragma once

#include <filesystem>
#include <memory>
#include <string>

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
};

/// Builds the model of a run and loads its checkpoint `best` or `last`. Errors (input): no run, no
/// checkpoint, damaged.
[[nodiscard]] LoadedRun load_run(const std::filesystem::path& run, const std::string& checkpoint,
                                 const torch::Device& device);

}  // namespace xception
