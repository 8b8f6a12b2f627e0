#include "resample_pixels.h"

#include <algorithm>
#include <vector>

// GCC compiles loops for several processors and chooses at start.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define XCEPTION_CLONES __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define XCEPTION_CLONES
#endif

namespace xception {
namespace {

constexpr std::int64_t kColors = 3;

/// A pixel and a value beside it.
using Four = float __attribute__((vector_size(16), aligned(4), may_alias));

/// sum[i] = weight * from[i], or more of it.
XCEPTION_CLONES void add_row(float* __restrict sum, const std::uint8_t* __restrict from,
                             float weight, std::int64_t n, bool first) {
  if (first) {
    for (std::int64_t i = 0; i < n; ++i) sum[i] = weight * static_cast<float>(from[i]);
  } else {
    for (std::int64_t i = 0; i < n; ++i) sum[i] += weight * static_cast<float>(from[i]);
  }
}

/// line: a row of the source, and a value more. to: a row of the output; its last pixel, too, is
/// written with a value more.
void resample_line(const float* line, std::int64_t first, const Taps& cols, Four scale, Four offset,
                   float* to) {
  constexpr float kWhole = 0x1.8p23F;  // beside it floats are whole
  const float* weights = cols.weights.data();
  for (const auto& column : cols.rows) {
    Four sum = {};
    const float* from = line + kColors * (column.first - first);
    for (std::int64_t k = 0; k < column.count; ++k) {
      sum += weights[column.at + k] * *reinterpret_cast<const Four*>(from + kColors * k);
    }
    *reinterpret_cast<Four*>(to) = ((sum + kWhole) - kWhole) * scale + offset;
    to += kColors;
  }
}

}  // namespace

template <class Value>
void resample_pixels(const std::uint8_t* pixels, const Taps& rows, const Taps& cols,
                     const Normalization& normalization, Value* to) {
  const auto top = rows.source().first;
  const auto [left, width] = cols.source();
  const auto values = kColors * width;
  const auto size = kColors * std::ssize(cols.rows);
  const auto [s, o] = normalization;
  const Four scale = {s[0], s[1], s[2], 0};
  const Four offset = {o[0], o[1], o[2], 0};
  std::vector<float> line(static_cast<std::size_t>(values + 1));
  std::vector<float> result(static_cast<std::size_t>(size + 1));
  for (const auto& row : rows.rows) {
    if (row.count == 0) std::fill(line.begin(), line.end(), 0.0F);
    for (std::int64_t k = 0; k < row.count; ++k) {
      add_row(line.data(), pixels + (row.first - top + k) * values,
              rows.weights[static_cast<std::size_t>(row.at + k)], values, k == 0);
    }
    resample_line(line.data(), left, cols, scale, offset, result.data());
    for (std::int64_t i = 0; i < size; ++i) {
      to[i] = static_cast<Value>(result[static_cast<std::size_t>(i)]);
    }
    to += size;
  }
}

template void resample_pixels(const std::uint8_t*, const Taps&, const Taps&, const Normalization&,
                              float*);
template void resample_pixels(const std::uint8_t*, const Taps&, const Taps&, const Normalization&,
                              c10::Half*);
template void resample_pixels(const std::uint8_t*, const Taps&, const Taps&, const Normalization&,
                              c10::BFloat16*);

}  // namespace xception
