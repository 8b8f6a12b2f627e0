#include "xception/train/evaluator.h"

#include <ATen/Context.h>

#include <algorithm>
#include <vector>

#include "xception/parallel/share.h"
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

/// The rows of all ranks, of which some may have none.
torch::Tensor gather(Communicator& ranks, const std::vector<torch::Tensor>& rows,
                     torch::ScalarType dtype) {
  return ranks.gather_rows(rows.empty() ? torch::empty({0}, dtype) : torch::cat(rows));
}

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
  const auto alone = Communicator::alone();
  auto& ranks = options.ranks == nullptr ? *alone : *options.ranks;
  const auto batches = (source.size() + options.batch_size - 1) / options.batch_size;
  const auto share = share_of_items(batches, ranks.rank(), ranks.size());
  // As many rounds as the rank with the most batches has, because all ask together.
  const auto rounds = (batches + ranks.size() - 1) / ranks.size();
  for (std::int64_t round = 0; round < rounds; ++round) {
    if (options.interrupted && options.interrupted()) return std::nullopt;
    if (round >= share.count) continue;
    const auto first = (share.first + round) * options.batch_size;
    if (options.progress) options.progress(first);
    const auto last = std::min(first + options.batch_size, source.size());
    const auto positions =
        torch::arange(first, last, torch::TensorOptions().dtype(torch::kInt64).device(device));
    const auto batch = source.at(positions);
    const auto images = pipeline.apply(batch.images, batch.drawn, dtype, options.channels_last);
    const Autocast autocast(options.precision, device.type());
    const auto logits = model.forward(images).logits;
    metrics.add(summed_cross_entropy(logits, batch.labels), logits, batch.labels);
    if (!options.predictions) continue;
    indices.push_back(batch.indices);
    labels.push_back(batch.labels);
    probabilities.push_back(logits.to(torch::kFloat32).softmax(1));
  }
  Evaluation evaluation;
  evaluation.metrics = metrics.collect(ranks);
  if (!options.predictions) return evaluation;
  evaluation.indices = gather(ranks, indices, torch::kInt64);
  evaluation.labels = gather(ranks, labels, torch::kInt64);
  evaluation.probabilities = gather(ranks, probabilities, torch::kFloat32);
  return evaluation;
}

}  // namespace xception
