#include <algorithm>
#include <cmath>

#include "xception/data/transform.h"

namespace xception {
namespace {

/// target, source: places of pixels on their axes, (1, output, 1) and (1, 1, input), first: of the
/// box; extent: its length; scale: that of a target's pixel. All of one dtype.
torch::Tensor triangle_weights(const torch::Tensor& target, const torch::Tensor& source,
                               const torch::Tensor& first, const torch::Tensor& extent,
                               const torch::Tensor& scale) {
  const auto radius = scale.clamp_min(1.0);  // antialias: as wide as an output pixel when shrinking
  const auto place = source - first;         // of a source pixel's center, inside the box
  auto weights = (1.0 - (place - target * scale).abs() / radius).clamp_min_(0.0);
  weights = weights * (place > 0).logical_and(place < extent);
  return weights / weights.sum(-1, true);
}

torch::Tensor centers(Span span, const torch::TensorOptions& options) {
  return torch::arange(span.first, span.first + span.count, options).add_(0.5);
}

/// Composes `part` of `whole` pixels: the map's rows of that part.
torch::Tensor narrowed(const torch::Tensor& map, std::int64_t whole, std::int64_t first,
                       std::int64_t count, const torch::TensorOptions& options) {
  if (count == whole) return map;
  const auto all = map.defined() ? map : torch::eye(whole, options).unsqueeze(0);
  return all.narrow(1, first, count);
}

}  // namespace

torch::Tensor resample_map(const torch::Tensor& start, const torch::Tensor& length,
                           std::int64_t output, std::int64_t input) {
  const auto options = start.options();
  const auto extent = length.view({-1, 1, 1});
  return triangle_weights(centers({0, output}, options).view({1, -1, 1}),
                          centers({0, input}, options).view({1, 1, -1}), start.view({-1, 1, 1}),
                          extent, extent / static_cast<double>(output));
}

torch::Tensor resample_map(std::int64_t input, std::int64_t output, Span from, Span to,
                           const torch::TensorOptions& options) {
  // float32 has no halves of pixels so far out.
  const bool far = std::max(from.first + from.count, to.first + to.count) > (1 << 20);
  const auto wide = options.dtype(far ? torch::kFloat64 : torch::kFloat32);
  const auto extent = torch::full({1, 1, 1}, static_cast<double>(input), wide);
  return triangle_weights(centers(to, wide).view({1, -1, 1}), centers(from, wide).view({1, 1, -1}),
                          torch::zeros({1, 1, 1}, wide), extent,
                          extent / static_cast<double>(output))
      .to(options.dtype());
}

Span resample_source(std::int64_t input, std::int64_t output, Span to) {
  const auto scale = static_cast<double>(input) / static_cast<double>(output);
  const auto reach = std::max(scale, 1.0) + 1.0;
  const auto low = (static_cast<double>(to.first) + 0.5) * scale - reach;
  const auto high = (static_cast<double>(to.first + to.count) - 0.5) * scale + reach;
  const auto first = std::clamp<std::int64_t>(std::llround(std::floor(low)), 0, input - 1);
  const auto last = std::clamp<std::int64_t>(std::llround(std::ceil(high)), first + 1, input);
  return {first, last - first};
}

torch::Tensor chain(const torch::Tensor& next, const torch::Tensor& previous) {
  return previous.defined() ? torch::matmul(next, previous) : next;
}

void Transform::compose_part(AxisMaps& maps, Size input, const Part& /*from*/, const Part& to,
                             const torch::Tensor& drawn) const {
  compose(maps, input, drawn);
  const auto whole = output(input);
  maps.rows = narrowed(maps.rows, whole.height, to.top, to.size.height, drawn.options());
  maps.cols = narrowed(maps.cols, whole.width, to.left, to.size.width, drawn.options());
}

void Transform::compose_taps(Taps& rows, Taps& cols, Size input, const float* numbers) const {
  const auto drawn =
      torch::from_blob(const_cast<float*>(numbers), {1, draws()}, torch::kFloat32).clone();
  AxisMaps maps;
  compose(maps, input, drawn);
  if (maps.rows.defined()) rows = rows.then(Taps::of_map(maps.rows));
  if (maps.cols.defined()) cols = cols.then(Taps::of_map(maps.cols));
}

}  // namespace xception
