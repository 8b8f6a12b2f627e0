#include <algorithm>
#include <cmath>

#include "xception/data/taps.h"

namespace xception {
namespace {

/// Leaves out a row's zeros at both ends.
void trim(const std::vector<float>& dense, std::int64_t first, Taps& taps) {
  auto begin = dense.begin();
  auto end = dense.end();
  while (begin < end && *begin == 0) ++begin;
  while (begin < end && *(end - 1) == 0) --end;
  taps.rows.push_back({first + (begin - dense.begin()), std::ssize(taps.weights), end - begin});
  taps.weights.insert(taps.weights.end(), begin, end);
}

}  // namespace

Taps Taps::shift(std::int64_t offset, std::int64_t output, std::int64_t input) {
  Taps taps{.input = input, .weights = {1.0F}};
  for (std::int64_t i = 0; i < output; ++i) {
    const bool inside = i + offset >= 0 && i + offset < input;
    taps.rows.push_back({inside ? i + offset : 0, 0, inside ? 1 : 0});
  }
  return taps;
}

Taps Taps::resample(std::int64_t start, std::int64_t length, std::int64_t output,
                    std::int64_t input) {
  Taps taps{.input = input};
  const auto scale = static_cast<float>(length) / static_cast<float>(output);
  const auto radius = std::max(scale, 1.0F);  // antialias: as wide as an output pixel
  std::vector<float> weights;
  for (std::int64_t i = 0; i < output; ++i) {
    const auto center = (static_cast<float>(i) + 0.5F) * scale;
    const auto first = std::max<std::int64_t>(std::llround(std::floor(center - radius - 0.5F)), 0);
    const auto last =
        std::min<std::int64_t>(std::llround(std::ceil(center + radius + 0.5F)), length);
    weights.clear();
    float sum = 0;
    for (auto place = first; place < last; ++place) {
      const auto distance = std::abs(static_cast<float>(place) + 0.5F - center);
      weights.push_back(std::max(1.0F - distance / radius, 0.0F));
      sum += weights.back();
    }
    for (auto& weight : weights) weight /= sum;
    trim(weights, start + first, taps);
  }
  return taps;
}

Taps Taps::of_map(const torch::Tensor& map) {
  const auto dense = map[0].contiguous();
  Taps taps{.input = dense.size(1)};
  const auto* values = dense.const_data_ptr<float>();
  for (std::int64_t i = 0; i < dense.size(0); ++i) {
    trim({values + i * taps.input, values + (i + 1) * taps.input}, 0, taps);
  }
  return taps;
}

void Taps::reverse() {
  std::reverse(rows.begin(), rows.end());
}

Taps Taps::then(const Taps& next) const {
  Taps taps{.input = input};
  std::vector<float> dense;
  for (const auto& to : next.rows) {
    const auto all = std::span(rows).subspan(static_cast<std::size_t>(to.first),
                                             static_cast<std::size_t>(to.count));
    std::int64_t first = input, end = 0;
    for (const auto& row : all) {
      if (row.count == 0) continue;
      first = std::min(first, row.first);
      end = std::max(end, row.first + row.count);
    }
    dense.assign(static_cast<std::size_t>(std::max<std::int64_t>(end - first, 0)), 0);
    for (std::int64_t k = 0; k < to.count; ++k) {
      const auto& row = all[static_cast<std::size_t>(k)];
      for (std::int64_t j = 0; j < row.count; ++j) {
        dense[static_cast<std::size_t>(row.first - first + j)] +=
            next.weights[static_cast<std::size_t>(to.at + k)] *
            weights[static_cast<std::size_t>(row.at + j)];
      }
    }
    trim(dense, dense.empty() ? 0 : first, taps);
  }
  return taps;
}

Span Taps::source() const {
  std::int64_t first = input, end = 0;
  for (const auto& row : rows) {
    if (row.count == 0) continue;
    first = std::min(first, row.first);
    end = std::max(end, row.first + row.count);
  }
  return end > first ? Span{first, end - first} : Span{0, 1};
}

}  // namespace xception
