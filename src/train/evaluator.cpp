#include "xception/train/evaluator.h"

#include <ATen/Context.h>

#include <algorithm>
#include <vector>

#include "xception/parallel/share.h"
#include "xception/train/loss.h"

namespace xception {
namespace {

/// The rows of all ranks, of which some may have none.
torch::Tensor gather(Communicator& ranks, const std::vector<torch::Tensor>& rows,
                     torch::ScalarType dtype) {
  return ranks.gather_rows(rows.empty() ? torch::empty({0}, dtype) : torch::cat(rows));
}

}  // namespace

FullPrecision::FullPrecision() : was_allowed_(at::globalContext().allowTF32CuDNN()) {
  at::globalContext().setAllowTF32CuDNN(false);
}

FullPrecision::~FullPrecision() {
  at::globalContext().setAllowTF32CuDNN(was_allowed_);
}

BatchEvaluator::BatchEvaluator(Classifier& model, Loader& loader, const EvaluationOptions& options)
    : model_(model),
      loader_(loader),
      precision_(options.precision),
      mode_(model),
      weights_(model.parameters().front().options()),
      views_(options.views),
      metrics_(weights_.device()),
      view_metrics_(weights_.device()) {
  if (!options.fold_batch_norm) return;
  const auto parameters = c10::typeMetaToScalarType(weights_.dtype());
  folded_.emplace(model, precision_.autocast ? precision_.autocast_dtype : parameters);
}

BatchEvaluator::Result BatchEvaluator::run(std::int64_t images, StepProbe* probe) {
  mark_phase(probe, StepPhase::start);
  Result result;
  result.batch = loader_.next(images);
  mark_phase(probe, StepPhase::data);
  const Autocast autocast(precision_, weights_.device().type());
  result.logits = model_.forward(result.batch.images).logits;
  mark_phase(probe, StepPhase::forward);
  const auto loss = summed_cross_entropy(result.logits, result.batch.targets);
  mark_phase(probe, StepPhase::loss);
  metrics_.add(loss, result.logits, result.batch.targets);
  mark_phase(probe, StepPhase::metrics);
  if (views_.empty()) return result;
  result.of_views = view_probabilities(model_, result.batch.images, result.logits, views_);
  const auto logarithms = result.of_views.clamp_min(1e-30F).log();
  view_metrics_.add(-logarithms.gather(1, result.batch.targets.unsqueeze(1)).sum(), result.of_views,
                    result.batch.targets);
  return result;
}

std::optional<Evaluation> evaluate(Classifier& model, Loader& loader,
                                   const EvaluationOptions& options) {
  BatchEvaluator evaluator(model, loader, options);
  std::vector<torch::Tensor> indices, labels, probabilities, of_views;
  loader.start_epoch(0);
  const auto alone = Communicator::alone();
  auto& ranks = options.ranks == nullptr ? *alone : *options.ranks;
  const auto batches = (loader.size() + options.batch_size - 1) / options.batch_size;
  const auto share = share_of_items(batches, ranks.rank(), ranks.size());
  // As many rounds as the rank with the most batches has, because all ask together.
  const auto rounds = (batches + ranks.size() - 1) / ranks.size();
  loader.seek(share.first * options.batch_size);
  for (std::int64_t round = 0; round < rounds; ++round) {
    if (options.interrupted && options.interrupted()) return std::nullopt;
    if (round >= share.count) continue;
    const auto first = (share.first + round) * options.batch_size;
    if (options.progress) options.progress(first);
    const auto [batch, logits, mean] =
        evaluator.run(std::min(options.batch_size, loader.size() - first));
    if (!options.predictions) continue;
    indices.push_back(batch.indices);
    labels.push_back(batch.targets);
    probabilities.push_back(logits.to(torch::kFloat32).softmax(1));
    if (mean.defined()) of_views.push_back(mean);
  }
  Evaluation evaluation;
  evaluation.metrics = evaluator.metrics().collect(ranks);
  if (!options.views.empty()) evaluation.views = evaluator.view_metrics().collect(ranks);
  if (!options.predictions) return evaluation;
  evaluation.indices = gather(ranks, indices, torch::kInt64);
  evaluation.labels = gather(ranks, labels, torch::kInt64);
  evaluation.probabilities = gather(ranks, probabilities, torch::kFloat32);
  if (!options.views.empty()) evaluation.of_views = gather(ranks, of_views, torch::kFloat32);
  return evaluation;
}

}  // namespace xception
