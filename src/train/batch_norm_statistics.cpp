#include "batch_norm_statistics.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "xception/models/batch_norm.h"

namespace xception {

void recompute_batch_norm(Classifier& model, Loader& loader, const Precision& precision,
                          std::int64_t batch_size) {
  const torch::NoGradGuard no_grad;
  const EvaluationMode mode(model);
  std::vector<std::shared_ptr<torch::nn::Module>> modules = model.modules(/*include_self=*/false);
  std::vector<BatchNorm2dImpl*> norms;
  std::vector<std::optional<double>> momenta;
  std::vector<torch::Tensor> counts;
  for (const auto& module : modules) {
    auto* norm = module->as<BatchNorm2dImpl>();
    if (norm == nullptr) continue;
    norm->train();
    norms.push_back(norm);
    momenta.push_back(norm->options.momentum());
    counts.push_back(norm->num_batches_tracked.clone());
  }
  const auto device = model.parameters().front().device().type();
  loader.start_epoch(0);
  double batches = 0.0;
  for (std::int64_t first = 0; first < loader.size(); first += batch_size) {
    const auto images = std::min(batch_size, loader.size() - first);
    if (images < 2) break;
    batches += 1.0;
    for (auto* norm : norms) norm->options.momentum(1.0 / batches);
    const auto batch = loader.next(images);
    const Autocast autocast(precision, device);
    (void)model.forward(batch.images);
  }
  for (std::size_t i = 0; i < norms.size(); ++i) {
    norms[i]->options.momentum(momenta[i]);
    norms[i]->num_batches_tracked.copy_(counts[i]);
  }
}

}  // namespace xception
