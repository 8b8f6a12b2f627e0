#include "xception/data/transform.h"

namespace xception {

torch::Tensor resample_map(const torch::Tensor& start, const torch::Tensor& length,
                           std::int64_t output, std::int64_t input) {
  const auto options = start.options();
  const auto target = torch::arange(output, options).add_(0.5).view({1, -1, 1});
  const auto source = torch::arange(input, options).add_(0.5).view({1, 1, -1});
  const auto first = start.view({-1, 1, 1});
  const auto extent = length.view({-1, 1, 1});
  const auto scale = extent / static_cast<double>(output);
  const auto radius = scale.clamp_min(1.0);  // antialias: as wide as an output pixel when shrinking
  const auto place = source - first;         // of a source pixel's centre, inside the box
  auto weights = (1.0 - (place - target * scale).abs() / radius).clamp_min_(0.0);
  weights = weights * (place > 0).logical_and(place < extent);
  return weights / weights.sum(-1, true);
}

torch::Tensor chain(const torch::Tensor& next, const torch::Tensor& previous) {
  return previous.defined() ? torch::matmul(next, previous) : next;
}

}  // namespace xception
