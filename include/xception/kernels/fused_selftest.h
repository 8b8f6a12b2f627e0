#pragma once

#include <torch/types.h>

#include <string>

namespace xception {

/// Runs the fused operations, forward and backward, on small images in float32 and in float16 (on a
/// CPU bfloat16), and compares with LibTorch's operations. Empty if they agree, else the first that
/// doesn't, or what it threw. Draws no random numbers. Milliseconds, on a GPU some more.
[[nodiscard]] std::string fused_selftest(const torch::Device& device);

}  // namespace xception
