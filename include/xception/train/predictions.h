#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "xception/core/safetensors.h"
#include "xception/data/dataset.h"
#include "xception/train/checkpoint.h"
#include "xception/train/evaluator.h"

namespace xception {

/// What an evaluation is of.
struct PredictionOrigin {
  std::string checkpoint;       ///< best or last
  TrainingPosition place = {};  ///< of that checkpoint
  std::string split;
  std::string data;  ///< name of the data set
  std::string data_checksum;
  std::vector<std::string> class_names;
};

[[nodiscard]] PredictionOrigin prediction_origin(const std::string& checkpoint,
                                                 const TrainingPosition& place,
                                                 const std::string& split, const Dataset& dataset);

/// Writes an evaluation as safetensors: `index` int64 (n), `label` int64 (n), `probabilities`
/// float32 (n, classes), with views `tta_probabilities`, their mean; the metadata say what it is
/// of: checkpoint, epoch, step, split, data, data_checksum, classes (a JSON list). Errors (run).
void save_predictions(const std::filesystem::path& file, const Evaluation& evaluation,
                      const PredictionOrigin& origin);

/// Why predictions with these metadata aren't of a run's data and split; nothing if they are, or
/// where they don't say (files of earlier versions).
[[nodiscard]] std::optional<std::string> mismatch(const TextMap& metadata, const std::string& split,
                                                  const std::string& data_checksum);

}  // namespace xception
