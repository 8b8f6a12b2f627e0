#include "xception/models/fold.h"

#include <cmath>

namespace xception {
namespace {

std::vector<NormalizedConv> normalized_convs_in(torch::nn::Module& network) {
  std::vector<NormalizedConv> all;
  const auto take = [&all](torch::nn::Module* module) {
    if (const auto* has = dynamic_cast<HasNormalizedConvs*>(module)) {
      for (const auto& pair : has->normalized_convs()) all.push_back(pair);
    }
  };
  take(&network);
  for (const auto& module : network.modules(/*include_self=*/false)) take(module.get());
  return all;
}

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
  for (auto& pair : normalized_convs_in(network)) {
    if (pair.norm->folded()) continue;  // by another one, which lives on
    folded_.push_back({pair, pair.conv->weight, pair.conv->bias});
    fold(*pair.conv, *pair.norm, dtype);
    pair.norm->set_folded(true);
  }
}

FoldedBatchNorms::~FoldedBatchNorms() {
  for (auto& folded : folded_) {
    folded.of.conv->weight = folded.weight;
    folded.of.conv->bias = folded.bias;
    folded.of.norm->set_folded(false);
  }
}

}  // namespace xception
