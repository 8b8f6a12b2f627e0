#pragma once

#include <string>

namespace xception {

/// Runs one small kernel of this build on a GPU and checks its result; empty if it did what it
/// should, else why not (most often: the build has no code for this GPU's architecture).
/// Without CUDA in the build: says so.
[[nodiscard]] std::string kernel_selftest(int device_index);

}  // namespace xception
