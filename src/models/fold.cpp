#include "xception/models/fold.h"

#include <memory>

namespace xception {
namespace {

/// Puts the BatchNorm into the convolution.
void fold(torch::nn::Conv2dImpl& conv, const BatchNorm2dImpl& norm, torch::ScalarType dtype) {
  const auto wide = [](const torch::Tensor& values) { return values.to(torch::kFloat64); };
  const auto scale = wide(norm.weight) * (wide(norm.running_var) + norm.options.eps()).rsqrt();
  auto shift = wide(norm.bias) - wide(norm.running_mean) * scale;
  if (conv.bias.defined()) shift += wide(conv.bias) * scale;
  const auto weight = wide(conv.weight) * scale.view({-1, 1, 1, 1});
  conv.weight = torch::empty_like(conv.weight, conv.weight.options().dtype(dtype)).copy_(weight);
  conv.bias = shift.to(dtype);
}

}  // namespace

FoldedBatchNorms::FoldedBatchNorms(torch::nn::Module& network, torch::ScalarType dtype) {
  const torch::NoGradGuard no_grad;
  for (const auto& module : network.modules(/*include_self=*/false)) {
    const auto norm = std::dynamic_pointer_cast<BatchNorm2dImpl>(module);
    // What is folded already is another one's, which lives on.
    if (norm == nullptr || !norm->convolution() || norm->folded()) continue;
    auto conv = norm->convolution();
    folded_.push_back({norm, conv->weight, conv->bias});
    fold(*conv, *norm, dtype);
    norm->set_folded(true);
  }
}

FoldedBatchNorms::~FoldedBatchNorms() {
  for (auto& [norm, weight, bias] : folded_) {
    auto conv = norm->convolution();
    conv->weight = weight;
    conv->bias = bias;
    norm->set_folded(false);
  }
}

}  // namespace xception
