#include "resample_pixels.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

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

// sum[i] = weight * from[i], or more of it.
XCEPTION_CLONES void add_row(float* __restrict sum, const std::uint8_t* __restrict from,
                             float weight, std::int64_t n, bool first) {
  if (first) {
    for (std::int64_t i = 0; i < n; ++i) sum[i] = weight * static_cast<float>(from[i]);
  } else {
    for (std::int64_t i = 0; i < n; ++i) sum[i] += weight * static_cast<float>(from[i]);
  }
}

XCEPTION_CLONES void add_row(float* __restrict sum, const float* __restrict from, float weight,
                             std::int64_t n, bool first) {
  if (first) {
    for (std::int64_t i = 0; i < n; ++i) sum[i] = weight * from[i];
  } else {
    for (std::int64_t i = 0; i < n; ++i) sum[i] += weight * from[i];
  }
}

/// Rounds and normalizes a row. scale, offset: of each value.
XCEPTION_CLONES void finish_row(float* __restrict row, const float* __restrict scale,
                                const float* __restrict offset, std::int64_t n) {
  constexpr float kWhole = 0x1.8p23F;  // beside it floats are whole
  for (std::int64_t i = 0; i < n; ++i) {
    row[i] = ((row[i] + kWhole) - kWhole) * scale[i] + offset[i];
  }
}

XCEPTION_CLONES void convert(const float* __restrict from, c10::BFloat16* __restrict to,
                             std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) to[i] = from[i];
}

void convert(const float* from, c10::Half* to, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) to[i] = from[i];
}

void convert(const float* from, float* to, std::int64_t n) {
  std::copy_n(from, n, to);
}

/// Sums the source rows of an output row. `from`: those from `top` on, n values each.
template <class Source>
void sum_rows(const Taps& rows, const Taps::Row& row, const Source* from, std::int64_t top,
              std::int64_t n, float* sum) {
  if (row.count == 0) std::fill_n(sum, n, 0.0F);
  for (std::int64_t k = 0; k < row.count; ++k) {
    add_row(sum, from + (row.first - top + k) * n,
            rows.weights[static_cast<std::size_t>(row.at + k)], n, k == 0);
  }
}

/// line: a row of the source from column `first` on, and a value more. to: a row of the output,
/// which is written with a value more.
void resample_line(const float* line, std::int64_t first, const Taps& cols, float* to) {
  const float* weights = cols.weights.data();
  for (const auto& column : cols.rows) {
    Four sum = {};
    const float* from = line + kColors * (column.first - first);
    for (std::int64_t k = 0; k < column.count; ++k) {
      sum += weights[column.at + k] * *reinterpret_cast<const Four*>(from + kColors * k);
    }
    *reinterpret_cast<Four*>(to) = sum;
    to += kColors;
  }
}

/// A value of each color, over and over.
std::vector<float> repeated(const float (&values)[3], std::int64_t n) {
  std::vector<float> row(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < row.size(); ++i) row[i] = values[i % kColors];
  return row;
}

}  // namespace

FirstAxis first_axis(const Taps& rows) {
  return rows.source().count < std::ssize(rows.rows) ? FirstAxis::columns : FirstAxis::rows;
}

template <class Value>
void resample_pixels(const std::uint8_t* pixels, const Taps& rows, const Taps& cols,
                     FirstAxis first, const Normalization& normalization, Value* to) {
  const auto [top, height] = rows.source();
  const auto [left, width] = cols.source();
  const auto values = kColors * width;
  const auto size = kColors * std::ssize(cols.rows);
  const auto scale = repeated(normalization.scale, size);
  const auto offset = repeated(normalization.offset, size);
  std::vector<float> line(static_cast<std::size_t>(values + 1));
  std::vector<float> result(static_cast<std::size_t>(size + 1));
  const bool columns_first = first == FirstAxis::columns;
  std::vector<float> columns;
  if (columns_first) {
    columns.resize(static_cast<std::size_t>(height * size + 1));
    for (std::int64_t y = 0; y < height; ++y) {
      std::copy_n(pixels + y * values, values, line.begin());
      resample_line(line.data(), left, cols, columns.data() + y * size);
    }
  }
  for (const auto& row : rows.rows) {
    if (columns_first) {
      sum_rows(rows, row, columns.data(), top, size, result.data());
    } else {
      sum_rows(rows, row, pixels, top, values, line.data());
      resample_line(line.data(), left, cols, result.data());
    }
    finish_row(result.data(), scale.data(), offset.data(), size);
    convert(result.data(), to, size);
    to += size;
  }
}

template void resample_pixels(const std::uint8_t*, const Taps&, const Taps&, FirstAxis,
                              const Normalization&, float*);
template void resample_pixels(const std::uint8_t*, const Taps&, const Taps&, FirstAxis,
                              const Normalization&, c10::Half*);
template void resample_pixels(const std::uint8_t*, const Taps&, const Taps&, FirstAxis,
                              const Normalization&, c10::BFloat16*);

}  // namespace xception
