#pragma once

#include "vector.h"

namespace xception::cpu {
namespace {

/// The part of a row of the map between its first and last non-zero.
struct Taps {
  Taps(const ImageRows& of, std::int64_t line) {
    const std::int64_t row = line % of.out_height;
    if (of.rows == nullptr) {
      first = row;
      count = 1;
      return;
    }
    weights = of.rows + (line / of.out_height * of.rows_stride + row * of.height);
    std::int64_t last = of.height;
    while (first < last && weights[first] == 0) ++first;
    while (first < last && weights[last - 1] == 0) --last;
    weights += first;
    count = last - first;
  }
  Taps(const Taps&) = delete;
  Taps& operator=(const Taps&) = delete;

  float one = 1;
  const float* weights = &one;
  std::int64_t first = 0, count = 0;
};

/// To whole values, half to even.
inline F32 whole(const F32& v) {
  const F32 magnitude = v < 0 ? -v : v;
  const F32 coarse = v < 0 ? F32{} - 0x1p23F : F32{} + 0x1p23F;  // beside it floats are whole
  const F32 rounded = (v + coarse) - coarse;
  return magnitude < 0x1p23F ? rounded : v;
}

template <typename T>
inline void store_as(T* to, const F32& v, std::int64_t n) {
  store(to, v, n);
}
inline void store_as(double* to, const F32& v, std::int64_t n) {
  store(to, __builtin_convertvector(v, F64), n);
}

/// Scale and offset of the colors, as often as it takes for them to begin anew with a vector.
struct Colors {
  explicit Colors(const ImageRows& of) {
    for (int i = 0; i < raw::kColors * kLanes; ++i) {
      scale[i / kLanes][i % kLanes] = of.scale[i % raw::kColors];
      offset[i / kLanes][i % kLanes] = of.offset[i % raw::kColors];
    }
  }

  F32 scale[raw::kColors], offset[raw::kColors];
};

template <typename T>
void image_rows(const ImageRows& of, void* y, std::int64_t first, std::int64_t last) {
  const Colors colors(of);
  for (std::int64_t line = first; line < last; ++line) {
    const Taps taps(of, line);
    const float* from = of.columns + (line / of.out_height * of.height + taps.first) * of.values;
    T* to = static_cast<T*>(y) + line * of.values;
    int color = 0;
    for (std::int64_t i = 0; i < of.values; i += kLanes) {
      const std::int64_t n = of.values - i;
      F32 sum = {};
      for (std::int64_t k = 0; k < taps.count; ++k) {
        sum += taps.weights[k] * load(from + k * of.values + i, n);
      }
      store_as(to + i, whole(sum) * colors.scale[color] + colors.offset[color], n);
      color = (color + 1) % raw::kColors;
    }
  }
}

}  // namespace
}  // namespace xception::cpu
