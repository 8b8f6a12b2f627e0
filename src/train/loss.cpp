#include "xception/train/loss.h"

#include <torch/nn/functional/loss.h>

namespace xception {

torch::Tensor target_classes(const torch::Tensor& targets) {
  return targets.dim() == 1 ? targets : targets.argmax(1);
}

torch::Tensor summed_cross_entropy(const torch::Tensor& logits, const torch::Tensor& targets,
                                   double label_smoothing, const torch::Tensor& class_weights) {
  const bool narrow =
      logits.scalar_type() == torch::kHalf || logits.scalar_type() == torch::kBFloat16;
  const auto wide = narrow ? logits.to(torch::kFloat32) : logits;
  return torch::nn::functional::cross_entropy(
      wide, targets.dim() == 1 ? targets : targets.to(wide.scalar_type()),
      torch::nn::functional::CrossEntropyFuncOptions()
          .reduction(torch::kSum)
          .weight(class_weights.defined() ? class_weights.to(wide.scalar_type()) : class_weights)
          .label_smoothing(label_smoothing));
}

Loss::Value Loss::operator()(const ClassifierOutput& output, const torch::Tensor& targets) const {
  Value value;
  value.main = summed_cross_entropy(output.logits, targets, label_smoothing);
  value.total = !class_weights.defined()
                    ? value.main
                    : summed_cross_entropy(output.logits, targets, label_smoothing, class_weights);
  for (const auto& logits : output.aux) {
    value.total = value.total + aux_weight * summed_cross_entropy(logits, targets, label_smoothing,
                                                                  class_weights);
  }
  return value;
}

}  // namespace xception
