#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "xception/parallel/device.h"

namespace xception {

/// Versions of what the program was built with and runs on: project, commit, LibTorch, CUDA, cuDNN,
/// compiler; processor, threads, memory, host. For environment.json and `doctor`.
[[nodiscard]] nlohmann::ordered_json describe_environment();

/// cuDNN's version as it runs: `9.19.0`; empty without cuDNN.
[[nodiscard]] std::string cudnn_version();

/// One line: `LibTorch 2.11.0, CUDA 13.0, cuDNN 9.19.0`.
[[nodiscard]] std::string library_line();

}  // namespace xception
