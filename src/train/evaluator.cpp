#include "xception/train/evaluator.h"

#include <ATen/Context.h>

#include <algorithm>
#include <vector>

#include "xception/train/train_step.h"

namespace xception {
namespace {

/// Keeps cuDNN from computing float32 convolutions with TF32's short mantissa, for its lifetime.
class FullPrecision {
 public:
  FullPrecision() : was_allowed_(at::globalContext().allowTF32CuDNN()) {
    at::globalContext().setAllowTF32CuDNN(false);
  }
  ~FullPrecision() { at::globalContext().setAllowTF32CuDNN(was_allowed_); }
  FullPrecision(const FullPrecision&) = delete;
  FullPrecision& operator=(const FullPrecision&) = delete;

 private:
  bool was_allowed_;
};

}  // namespace

std::optional<Evaluation> evaluate(Classifier& model, BatchSource& source, const Pipeline& pipeline,
                                   const EvaluationOptions& options) {
  const torch::NoGradGuard no_grad;
  const EvaluationMode mode(model);
  const FullPrecision full_precision;
  const auto weights = model.parameters().front().options();
  const auto device = weights.device();
  const auto dtype = c10::typeMetaToScalarType(weights.dtype());
  ClassificationMetrics metrics(device);
  std::vector<torch::Tensor> indices, labels, probabilities;
  source.start_epoch(0);
  for (std::int64_t first = 0; first < source.size(); first += options.batch_size) {
    if (options.interrupted && options.interrupted()) return std::nullopt;
    if (options.progress) options.progress(first);
    const auto last = std::min(first + options.batch_size, source.size());
    const auto positions =
        torch::arange(first, last, torch::TensorOptions().dtype(torch::kInt64).device(device));
    const auto batch = source.at(positions);
    const auto images = pipeline.apply(batch.images, batch.drawn, dtype, options.channels_last);
    const Autocast autocast(options.precision, device.type());
    const auto logits = model.forward(images).logits;
    metrics.add(summed_cross_entropy(logits, batch.labels), logits, batch.labels);
    indices.push_back(batch.indices);
    labels.push_back(batch.labels);
    probabilities.push_back(logits.to(torch::kFloat32).softmax(1));
  }
  return Evaluation{.metrics = metrics.value(),
                    .indices = torch::cat(indices).cpu(),
                    .labels = torch::cat(labels).cpu(),
                    .probabilities = torch::cat(probabilities).cpu()};
}

}  // namespace xception
