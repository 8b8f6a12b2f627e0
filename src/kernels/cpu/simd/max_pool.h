#pragma once

#include "vector.h"

namespace xception::cpu {
namespace {

/// Rows or columns lo .. hi - 1 of the window at output position o that lie inside the image.
struct Taps {
  std::int64_t lo, hi;
};

inline Taps taps_of(std::int64_t start, std::int64_t size) {
  return {start < 0 ? -start : 0, size - start < 3 ? size - start : 3};
}

/// As at::max_pool2d: the first of equal values; NaN always.
template <typename T>
void pool_forward(const void* x_, const void* residual_, void* y_, std::uint8_t* index,
                  std::int64_t first, std::int64_t last, const Window& w) {
  using V = typename Arithmetic<T>::V;
  using I = typename Arithmetic<T>::I;
  const auto* residual = static_cast<const T*>(residual_);
  auto* y = static_cast<T*>(y_);
  for (std::int64_t row = first * w.out_height; row < last * w.out_height; ++row) {
    const auto* x =
        static_cast<const T*>(x_) + row / w.out_height * w.height * w.width * w.channels;
    const std::int64_t top = row % w.out_height * w.stride - w.padding;
    const Taps rows = taps_of(top, w.height);
    for (std::int64_t i = 0; i < w.out_width; ++i) {
      const std::int64_t left = i * w.stride - w.padding;
      const Taps columns = taps_of(left, w.width);
      const std::int64_t out = (row * w.out_width + i) * w.channels;
      for (std::int64_t c = 0; c < w.channels; c += kLanes) {
        const std::int64_t n = w.channels - c;
        V best = {};
        I place = {};
        bool started = false;
        for (std::int64_t a = rows.lo; a < rows.hi; ++a) {
          for (std::int64_t b = columns.lo; b < columns.hi; ++b) {
            const V v = load(x + ((top + a) * w.width + left + b) * w.channels + c, n);
            const I here = I{} + static_cast<std::int32_t>(3 * a + b);
            const auto take = started ? (v > best) | (v != v) : (v == v) | (v != v);
            best = take ? v : best;
            place = take ? here : place;
            started = true;
          }
        }
        if (index != nullptr) {
          const U8 bytes = __builtin_convertvector(place, U8);
          if (n >= kLanes) {
            std::memcpy(index + out + c, &bytes, sizeof bytes);
          } else {
            copy_part<std::uint8_t>(index + out + c, &bytes, n);
          }
        }
        if (residual != nullptr) best += load(residual + out + c, n);
        store(y + out + c, best, n);
      }
    }
  }
}

/// Every input position gathers from the windows that took their maximum from it.
template <typename T>
void pool_backward(const void* dy_, const std::uint8_t* index, void* dx_, std::int64_t first,
                   std::int64_t last, const Window& w) {
  using V = typename Arithmetic<T>::V;
  using I = typename Arithmetic<T>::I;
  const auto* dy = static_cast<const T*>(dy_);
  auto* dx = static_cast<T*>(dx_);
  for (std::int64_t row = first * w.height; row < last * w.height; ++row) {
    const std::int64_t image = row / w.height;
    const std::int64_t r = row % w.height + w.padding;
    for (std::int64_t i = 0; i < w.width; ++i) {
      const std::int64_t s = i + w.padding;
      for (std::int64_t c = 0; c < w.channels; c += kLanes) {
        const std::int64_t n = w.channels - c;
        V sum = {};
        for (std::int64_t o = r < 3 ? 0 : (r - 3) / w.stride + 1;
             o < w.out_height && o * w.stride <= r; ++o) {
          for (std::int64_t p = s < 3 ? 0 : (s - 3) / w.stride + 1;
               p < w.out_width && p * w.stride <= s; ++p) {
            const std::int64_t out =
                ((image * w.out_height + o) * w.out_width + p) * w.channels + c;
            U8 bytes = {};
            if (n >= kLanes) {
              std::memcpy(&bytes, index + out, sizeof bytes);
            } else {
              copy_part<std::uint8_t>(&bytes, index + out, n);
            }
            const auto tap = static_cast<std::int32_t>(3 * (r - o * w.stride) + s - p * w.stride);
            const I from = __builtin_convertvector(bytes, I);
            sum += from == tap ? load(dy + out, n) : V{};
          }
        }
        store(dx + (row * w.width + i) * w.channels + c, sum, n);
      }
    }
  }
}

}  // namespace
}  // namespace xception::cpu
