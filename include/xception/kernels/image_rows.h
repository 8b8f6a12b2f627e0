#pragma once

#include <torch/types.h>

namespace xception {

/// Whether fused_image_rows() runs on this device: in this build, CPUs and perhaps CUDA devices.
[[nodiscard]] bool image_rows_run_on(const torch::Device& device);

/// The last steps from images to a network's input: resampling along rows, rounding to whole
/// values (half to even), normalization, conversion:
///   y[n, c, i, j] = round(sum over h of rows[n, i, h] * columns[n, h, 3 j + c]) * scale[c]
///                   + offset[c]
/// columns: float32 (N, H, W' * 3), images resampled along columns already. rows: float32 (N or 1,
/// H', H), or undefined for the identity; what lies outside a row's first and last non-zero isn't
/// read. scale, offset: float32 (3). Returns (N, 3, H', W') of `dtype` (float16, bfloat16, float32
/// or float64), channels_last, computed in float32. Without gradients.
///
/// Errors (run): another device; shapes or dtypes that don't fit; a gradient is asked for.
[[nodiscard]] torch::Tensor fused_image_rows(const torch::Tensor& columns,
                                             const torch::Tensor& rows, const torch::Tensor& scale,
                                             const torch::Tensor& offset, torch::ScalarType dtype);

}  // namespace xception
