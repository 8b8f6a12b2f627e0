#pragma once

#include <torch/types.h>

#include <cstdint>

namespace xception {

// What this machine can do at best, measured with LibTorch's own operations.

/// Floating-point operations a second (2 a multiply-add) of products of two square matrices (2048
/// rows on the CPU, 8192 on a GPU), for about so many seconds. short_mantissa: whether a GPU may
/// compute float32 with TF32, as convolutions of a training step may.
[[nodiscard]] double measure_matrix_product(const torch::Device& device, torch::ScalarType dtype,
                                            bool short_mantissa, double seconds);

/// Bytes a second, read and written together, of copies from one block to another of 256 MB, for
/// about so many seconds.
[[nodiscard]] double measure_copy(const torch::Device& device, double seconds);

}  // namespace xception
