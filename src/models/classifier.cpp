#include "xception/models/classifier.h"

#include <ATen/autocast_mode.h>
#include <ATen/ops/_foreach_add.h>

#include <vector>

#include "xception/models/batch_norm.h"

namespace xception {
namespace {

/// As autocast gives images to a convolution; nothing is copied where they are so already.
torch::Tensor as_autocast_reads(const torch::Tensor& images) {
  const auto device = images.device().type();
  const bool as_they_are =
      !at::autocast::is_autocast_enabled(device) || images.scalar_type() == torch::kFloat64;
  return as_they_are ? images : images.to(at::autocast::get_autocast_dtype(device));
}

/// Adds this batch to num_batches_tracked of each BatchNorm that left it to others: one operation
/// in place of one a layer.
void count_batches(const torch::nn::Module& network) {
  std::vector<torch::Tensor> counts;
  for (const auto& module : network.modules(/*include_self=*/false)) {
    auto* norm = module->as<BatchNorm2dImpl>();
    if (norm != nullptr && norm->take_uncounted()) counts.push_back(norm->num_batches_tracked);
  }
  if (!counts.empty()) at::_foreach_add_(counts, 1);
}

}  // namespace

ClassifierOutput Classifier::forward(const torch::Tensor& images) {
  auto output = compute(as_autocast_reads(images));
  count_batches(*this);
  return output;
}

}  // namespace xception
