#pragma once

#include <filesystem>

#include "xception/train/evaluator.h"

namespace xception {

/// Writes an evaluation as safetensors: `index` int64 (n), `label` int64 (n), `probabilities`
/// float32 (n, classes). Errors (run).
void save_predictions(const std::filesystem::path& file, const Evaluation& evaluation);

}  // namespace xception
