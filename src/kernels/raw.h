#pragma once

#include <cstdint>

// What the tables of kernels (cpu/kernels.h, cuda/kernels.h) have in common. T is the dtype of
// images, A that of arithmetic: double where T is double, else float.
namespace xception::raw {

enum class Dtype { half, bfloat16, float32, float64 };

/// What happens to a value when it is read: z = (x - center) * scale + shift, then ReLU.
/// Null pointers: z = x.
struct OnLoad {
  const void* center = nullptr;  ///< A (C)
  const void* scale = nullptr;   ///< A (C)
  const void* shift = nullptr;   ///< A (C)
  bool relu = false;
};

/// Rows of channels, and where such are written; stride: elements from one row to the next, C or
/// more.
struct In {
  const void* data = nullptr;
  std::int64_t stride = 0;
};
struct Out {
  void* data = nullptr;
  std::int64_t stride = 0;
};

/// dx = g * scale + (x - center) * slope + offset with g = dy where the ReLU passed, else 0.
struct BatchNormGradient {
  OnLoad load = {};
  const void* slope = nullptr;   ///< A (C)
  const void* offset = nullptr;  ///< A (C)
};

/// A 3x3 window on channels-last images.
struct Window {
  std::int64_t height = 0, width = 0, channels = 0;
  std::int64_t out_height = 0, out_width = 0;
  std::int64_t stride = 1, padding = 0;
};

constexpr int kColors = 3;

/// Images resampled along columns, and what makes pixels of them; a line is 3 W' values.
struct ImageRows {
  const float* columns = nullptr;  ///< (N, height, values)
  const float* rows = nullptr;     ///< (N or 1, out_height, height); null: the identity
  std::int64_t rows_stride = 0;    ///< from one image's map to the next; 0: one for all
  const float* scale = nullptr;    ///< (kColors)
  const float* offset = nullptr;   ///< (kColors)
  std::int64_t height = 0, out_height = 0, values = 0;
};

/// A parameter of `count` values, and what its update reads and writes.
struct Update {
  void* parameter = nullptr;       ///< A
  const void* gradient = nullptr;  ///< T
  void* first = nullptr;           ///< A; null: SGD without momentum
  void* second = nullptr;          ///< A; null: SGD
  void* copy = nullptr;            ///< T; null: none is wanted
  std::int64_t count = 0;
};

}  // namespace xception::raw
