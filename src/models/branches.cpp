#include "xception/models/branches.h"

#include <algorithm>

#include "xception/kernels/bn_branches.h"
#include "xception/models/pixel_product.h"

namespace xception {
namespace {

bool all_fuse(const std::vector<ConvBnRelu>& units, const torch::Tensor& x) {
  return std::all_of(units.begin(), units.end(),
                     [&](const ConvBnRelu& unit) { return unit->bn()->fuses(x); });
}

/// Some of LibTorch's convolutions answer in another format than they were asked in.
torch::Tensor channels_last(const torch::Tensor& x) {
  return x.contiguous(torch::MemoryFormat::ChannelsLast);
}

torch::Tensor convolve_all(const torch::Tensor& x, const std::vector<ConvBnRelu>& units) {
  std::vector<torch::nn::Conv2d> convolutions;
  for (const auto& unit : units) convolutions.push_back(unit->conv());
  return pixel_product(x, convolutions);
}

}  // namespace

torch::Tensor average_neighbours(const torch::Tensor& x) {
  return at::avg_pool2d(x, /*kernel_size=*/3, /*stride=*/1, /*padding=*/1);
}

Branches::Branches(const torch::Tensor& x, const std::vector<ConvBnRelu>& last, Kernels kernels)
    : x_(x),
      last_(last),
      done_(last.size(), false),
      fused_(kernels == Kernels::fused && fused_kernels_take(x) && all_fuse(last, x)) {}

std::vector<torch::Tensor> Branches::start(const std::vector<ConvBnRelu>& units,
                                           bool averaged_last) {
  for (std::size_t i = 0; i < last_.size(); ++i) {
    done_[i] = std::any_of(units.begin(), units.end(),
                           [&](const ConvBnRelu& unit) { return unit.get() == last_[i].get(); });
  }
  fused_ = fused_ && all_fuse(units, x_);
  if (fused_) return start_fused(units, averaged_last);
  std::vector<torch::Tensor> results;
  for (std::size_t i = 0; i < units.size(); ++i) {
    const bool average = averaged_last && i + 1 == units.size();
    auto unit = units[i];
    results.push_back(unit->forward(average ? average_neighbours(x_) : x_));
  }
  return results;
}

std::vector<torch::Tensor> Branches::start_fused(const std::vector<ConvBnRelu>& units,
                                                 bool averaged_last) {
  const auto product = convolve_all(x_, units);
  if (std::find(done_.begin(), done_.end(), true) != done_.end()) {
    auto sizes = product.sizes().vec();
    sizes[1] = 0;
    for (const auto& unit : last_) sizes[1] += unit->conv()->weight.size(0);
    output_ = torch::empty(sizes, product.options().requires_grad(false).memory_format(
                                      at::MemoryFormat::ChannelsLast));
  }
  std::vector<BnSlice> slices;
  for (const auto& unit : units) {
    slices.push_back({.bn = unit->bn()->arguments(), .average = false, .to = place_of(unit)});
  }
  slices.back().average = averaged_last;
  return fused_bn_slices(product, slices, /*relu=*/true);
}

torch::Tensor Branches::place_of(const ConvBnRelu& unit) const {
  std::int64_t channel = 0;
  for (const auto& last : last_) {
    const auto channels = last->conv()->weight.size(0);
    if (last.get() == unit.get()) return output_.narrow(1, channel, channels);
    channel += channels;
  }
  return {};
}

torch::Tensor Branches::join(const std::vector<torch::Tensor>& inputs,
                             const torch::Tensor& pooled) {
  std::vector<torch::Tensor> results;
  std::vector<BnPart> parts;
  for (std::size_t i = 0; i < last_.size(); ++i) {
    if (done_[i]) {
      results.push_back(inputs[i]);
      parts.push_back({.x = inputs[i], .bn = {}});
    } else if (fused_) {
      parts.push_back({.x = channels_last(last_[i]->conv()->forward(inputs[i])),
                       .bn = last_[i]->bn()->arguments()});
    } else {
      results.push_back(last_[i]->forward(inputs[i]));
    }
  }
  if (pooled.defined()) {
    results.push_back(pooled);
    if (fused_) parts.push_back({.x = channels_last(pooled), .bn = {}});
  }
  return fused_ ? fused_bn_concat(parts, /*relu=*/true, output_) : at::cat(results, 1);
}

}  // namespace xception
