#pragma once

#include <torch/types.h>

#include <string>
#include <vector>

// fused_image_rows() against LibTorch's operations, wherever it runs.
namespace xception {

/// What fused_image_rows() gets, but for the dtype.
struct ImageRowsCase {
  std::string name;
  torch::Tensor columns, rows, scale, offset;
};

/// Every kind of map, in sizes around those of vectors and warps.
std::vector<ImageRowsCase> image_rows_cases(const torch::Device& device);

/// The pixels equal those of float64, unless these lie beside a half; the rest equals LibTorch's
/// operations on such pixels. To be called in tests.
void expect_image_rows(const ImageRowsCase& of);

/// Sums that are exact halves.
void expect_halves_to_even(const torch::Device& device);

}  // namespace xception
