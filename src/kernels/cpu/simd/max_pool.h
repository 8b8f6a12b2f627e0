#pragma once

#include "vector.h"

namespace xception::cpu {
namespace {

constexpr std::int64_t kPoolStride = 2;

/// Positions first .. last - 1 of one axis: window rows or columns inside the image, or the windows
/// that hold an input position.
struct Span {
  std::int64_t first, last;
};

/// Rows or columns of the window starting at `start` that lie inside the image.
inline Span taps_of(std::int64_t start, std::int64_t size) {
  return {start < 0 ? -start : 0, size - start < 3 ? size - start : 3};
}

/// Windows o that hold padded input position p: 2 o <= p <= 2 o + 2; at most two.
inline Span windows_of(std::int64_t p, std::int64_t out_size) {
  const std::int64_t last = p / kPoolStride + 1;
  return {p < 3 ? 0 : (p - 1) / kPoolStride, last < out_size ? last : out_size};
}

inline U8 load_bytes(const std::uint8_t* from, std::int64_t n) {
  U8 bytes = {};
  if (n >= kLanes) {
    std::memcpy(&bytes, from, sizeof bytes);
  } else {
    copy_part<std::uint8_t>(&bytes, from, n);
  }
  return bytes;
}

inline void store_bytes(std::uint8_t* to, const U8& bytes, std::int64_t n) {
  if (n >= kLanes) {
    std::memcpy(to, &bytes, sizeof bytes);
  } else {
    copy_part<std::uint8_t>(to, &bytes, n);
  }
}

/// The maximum of a window whose upper left corner, perhaps outside, is at x + corner; its place.
template <typename T>
struct Maximum {
  using V = typename Arithmetic<T>::V;
  using I = typename Arithmetic<T>::I;
  V value = {};
  I place = {};

  /// The first of equal values; NaN always.
  void take(const V& v, std::int64_t at) {
    const auto better = (v > value) | (v != v);
    value = better ? v : value;
    place = better ? I{} + static_cast<std::int32_t>(at) : place;
  }

  Maximum(const T* x, std::int64_t corner, std::int64_t row_size, std::int64_t channels,
          const Span& rows, const Span& columns, std::int64_t n) {
    // The first one is taken whatever it is.
    const auto first = 3 * rows.first + columns.first;
    value = load(x + (corner + rows.first * row_size + columns.first * channels), n);
    place = I{} + static_cast<std::int32_t>(first);
    if (rows.last - rows.first == 3 && columns.last - columns.first == 3) {
      for (int k = 1; k < 9; ++k)
        take(load(x + (corner + k / 3 * row_size + k % 3 * channels), n), k);
      return;
    }
    for (std::int64_t a = rows.first; a < rows.last; ++a) {
      for (std::int64_t b = columns.first; b < columns.last; ++b) {
        if (3 * a + b != first)
          take(load(x + (corner + a * row_size + b * channels), n), 3 * a + b);
      }
    }
  }
};

/// Kernels::pool_forward. The first of equal values is the maximum, and NaN always.
template <typename T>
void pool_forward(const void* x_, const void* residual_, void* y_, std::uint8_t* index,
                  std::int64_t first, std::int64_t last, const Window& w) {
  const auto* x = static_cast<const T*>(x_);
  const auto* residual = static_cast<const T*>(residual_);
  auto* y = static_cast<T*>(y_);
  const std::int64_t row_size = w.width * w.channels;
  for (std::int64_t line = first * w.out_height; line < last * w.out_height; ++line) {
    const T* image = x + line / w.out_height * w.height * row_size;
    const std::int64_t top = line % w.out_height * kPoolStride - w.padding;
    const Span rows = taps_of(top, w.height);
    for (std::int64_t i = 0; i < w.out_width; ++i) {
      const std::int64_t left = i * kPoolStride - w.padding;
      const Span columns = taps_of(left, w.width);
      const std::int64_t out = (line * w.out_width + i) * w.channels;
      const std::int64_t corner = top * row_size + left * w.channels;
      for (std::int64_t c = 0; c < w.channels; c += kLanes) {
        const std::int64_t n = w.channels - c;
        Maximum<T> best(image, corner + c, row_size, w.channels, rows, columns, n);
        if (index != nullptr) {
          store_bytes(index + out + c, __builtin_convertvector(best.place, U8), n);
        }
        if (residual != nullptr) best.value += load(residual + out + c, n);
        store(y + out + c, best.value, n);
      }
    }
  }
}

/// A row of windows under one row of the input: their gradients, their maxima's places, and the
/// place of that input row's first column in them.
template <typename T>
struct WindowRow {
  const T* dy = nullptr;
  const std::uint8_t* index = nullptr;
  std::int32_t place = 0;
};

/// What window p passes on to the input column that is its `column`-th, from `count` rows.
template <int count, typename T, typename V = typename Arithmetic<T>::V>
inline V passed_on(const WindowRow<T>* rows, std::int64_t at, std::int32_t column, std::int64_t n) {
  using I = typename Arithmetic<T>::I;
  V sum = {};
  for (int k = 0; k < count; ++k) {
    const I place = __builtin_convertvector(load_bytes(rows[k].index + at, n), I);
    sum += place == rows[k].place + column ? load(rows[k].dy + at, n) : V{};
  }
  return sum;
}

/// The gradients of padded input columns 2 p and 2 p + 1, of one row, where they are in the image:
/// window p - 1 ends at the first, window p begins there.
template <int count, typename T>
void pool_backward_pair(const WindowRow<T>* rows, T* dx, std::int64_t p, const Window& w) {
  using V = typename Arithmetic<T>::V;
  const std::int64_t column = p * kPoolStride - w.padding;
  const bool before = p > 0;
  const bool here = p < w.out_width;
  for (std::int64_t c = 0; c < w.channels; c += kLanes) {
    const std::int64_t n = w.channels - c;
    V first = {};
    V second = {};
    if (before) first = passed_on<count>(rows, (p - 1) * w.channels + c, 2, n);
    if (here) {
      first += passed_on<count>(rows, p * w.channels + c, 0, n);
      second = passed_on<count>(rows, p * w.channels + c, 1, n);
    }
    if (column >= 0) store(dx + (column * w.channels + c), first, n);
    if (column + 1 < w.width) store(dx + ((column + 1) * w.channels + c), second, n);
  }
}

/// Every input position gathers from the windows that took their maximum from it.
template <typename T>
void pool_backward(const void* dy_, const std::uint8_t* index, void* dx_, std::int64_t first,
                   std::int64_t last, const Window& w) {
  const auto* dy = static_cast<const T*>(dy_);
  const std::int64_t row_size = w.out_width * w.channels;
  for (std::int64_t line = first * w.height; line < last * w.height; ++line) {
    const std::int64_t image = line / w.height * w.out_height;
    const std::int64_t r = line % w.height + w.padding;
    const Span windows = windows_of(r, w.out_height);
    WindowRow<T> rows[2];
    int count = 0;
    for (std::int64_t o = windows.first; o < windows.last; ++o) {
      const std::int64_t at = (image + o) * row_size;
      rows[count++] = {dy + at, index + at, static_cast<std::int32_t>(3 * (r - o * kPoolStride))};
    }
    T* dx = static_cast<T*>(dx_) + line * w.width * w.channels;
    for (std::int64_t p = 0; p * kPoolStride - w.padding < w.width; ++p) {
      if (count == 2) {
        pool_backward_pair<2>(rows, dx, p, w);
      } else if (count == 1) {
        pool_backward_pair<1>(rows, dx, p, w);
      } else {
        pool_backward_pair<0>(rows, dx, p, w);
      }
    }
  }
}

}  // namespace
}  // namespace xception::cpu
