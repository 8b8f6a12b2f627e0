#pragma once

#include "device.cuh"

namespace xception::cuda {
namespace {

/// The largest of a window's values, the first of equal ones and NaN always: of a column first,
/// then of three columns.
template <typename T>
struct Maximum {
  using A = Arithmetic<T>;

  A value = static_cast<A>(-INFINITY);
  int row = 9;  ///< 9: there is none

  __device__ __forceinline__ void begin(bool inside, int first_row) {
    row = inside ? first_row : row;
  }
  __device__ __forceinline__ void take(A z, int of_row) {
    const bool better = (z > value) | (z != z);
    value = better ? z : value;
    row = better ? of_row : row;
  }
  /// Makes this, the left column's, the window's; returns its place, 3 * row + column.
  __device__ __forceinline__ int join(const Maximum& middle, const Maximum& right) {
    int column = 0;
    const auto compare = [&](const Maximum& with, int number) {
      const bool better = (with.value > value) | (with.value != with.value) |
                          ((with.value == value) & (with.row < row));
      value = better ? with.value : value;
      row = better ? with.row : row;
      column = better ? number : column;
    };
    compare(middle, 1);
    compare(right, 2);
    return 3 * row + column;
  }
  [[nodiscard]] __device__ __forceinline__ A get() const { return value; }
};

/// Of a narrow dtype a float's last bits are zero. So a value and its place fit an integer of the
/// same order: the float's bits, those of negative ones turned round, and in the last four 3 - row
/// and 2 - column.
template <typename T>
requires(sizeof(T) == 2) struct Maximum<T> {
  static constexpr std::int32_t kTurned = 0x7FFFFFF0;

  std::int32_t key = INT32_MIN;

  __device__ __forceinline__ void begin(bool /*inside*/, int /*first_row*/) {}
  __device__ __forceinline__ void take(float z, int of_row) {
    z += 0.0F;            // of zero's two signs one
    if (z != z) z = NAN;  // and of NaN's
    std::int32_t bits;
    std::memcpy(&bits, &z, sizeof(bits));
    bits = (bits ^ (bits >> 31 & kTurned)) | (3 - of_row) << 2;
    key = bits > key ? bits : key;
  }
  __device__ __forceinline__ int join(const Maximum& middle, const Maximum& right) {
    const auto larger = [](std::int32_t a, std::int32_t b) { return a > b ? a : b; };
    key = larger(larger(key | 2, middle.key | 1), right.key);
    return 3 * (3 - (key >> 2 & 3)) + 2 - (key & 3);
  }
  [[nodiscard]] __device__ __forceinline__ float get() const {
    const std::int32_t ordered = key & ~15;
    const std::int32_t bits = ordered ^ (ordered >> 31 & kTurned);
    float z;
    std::memcpy(&z, &bits, sizeof(z));
    return z;
  }
};

}  // namespace
}  // namespace xception::cuda
