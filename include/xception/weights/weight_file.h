#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "xception/core/safetensors.h"

namespace xception {

/// Weights as another program saved them.
struct WeightFile {
  std::filesystem::path file = {};      ///< where they were read
  std::string format = {};              ///< what wrote it, for people: "safetensors", ...
  TensorMap tensors = {};               ///< on the CPU, contiguous, by the file's names, unwrapped
  std::vector<std::string> order = {};  ///< the tensors' names in the file's own order
  TextMap metadata = {};                ///< safetensors' `__metadata__`
  std::vector<std::string> notes = {};  ///< what was unwrapped or chosen, a sentence each
};

/// Reads a file of weights, which is recognized by its content and never by its name: safetensors.
///
/// Nothing in the file is executed, and no more memory is taken than the file's size justifies.
/// Errors (input): missing, of no known format, damaged; the line names the file.
[[nodiscard]] WeightFile read_weights(const std::filesystem::path& file);

}  // namespace xception
