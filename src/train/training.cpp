#include "xception/train/training.h"

#include <fmt/format.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "xception/core/log.h"
#include "xception/core/memory.h"
#include "xception/train/checkpoint.h"
#include "xception/train/generators.h"
#include "xception/train/graph_selftest.h"

namespace xception {
namespace {

StepOptions step_options(const RunConfig& config, const Precision& precision,
                         const Communicator& ranks) {
  return {.precision = precision,
          .accumulate = config.train.accumulate,
          .aux_weight = config.model.aux_weight.value_or(0.0),
          .label_smoothing = config.train.label_smoothing,
          .clip_norm = config.optimizer.clip_norm,
          .channels_last = config.train.channels_last,
          .rank = ranks.rank(),
          .ranks = ranks.size()};
}

/// Gradients that are added up, over parts of a batch or over ranks, or measured, are float32's.
bool takes_shadows(const Experiment& experiment, const Precision& precision,
                   const Communicator& ranks) {
  const auto& config = experiment.config();
  return precision.autocast && experiment.kernels() == Kernels::fused && ranks.is_alone() &&
         config.train.accumulate == 1 && config.optimizer.clip_norm == 0.0;
}

/// What graph_selftest() says, asked once a process.
std::string graph_problem(const Experiment& experiment) {
  static std::map<std::string, std::string> known;
  const auto& precision = experiment.config().train.precision;
  const auto key = fmt::format("{} {} {}", experiment.device().str(), precision,
                               static_cast<int>(experiment.kernels()));
  if (const auto found = known.find(key); found != known.end()) return found->second;
  auto problem = graph_selftest(experiment.device(), precision, experiment.kernels());
  if (!is_out_of_memory(problem)) known[key] = problem;  // which may pass
  return problem;
}

/// Has the step recorded where that is safe; says so on a GPU where it isn't.
void use_graph(TrainStep& step, const Experiment& experiment, const Communicator& ranks) {
  if (!experiment.device().is_cuda()) return;
  if (!ranks.is_alone()) {
    spdlog::info("train.cuda_graph: off: several ranks sum their gradients outside of it");
  } else if (const auto problem = graph_problem(experiment); !problem.empty()) {
    spdlog::warn("warning: train.cuda_graph: off: its test on {} failed: {}",
                 experiment.device().str(), problem);
  } else {
    step.use_graph();
  }
}

}  // namespace

Training::Training(const Experiment& experiment, std::shared_ptr<Communicator> communicator)
    : ranks(std::move(communicator)),
      precision(parse_precision(experiment.config().train.precision)),
      model(experiment.build_model(precision)),
      source(experiment.source(Split::train, Order::shuffled, experiment.train_pipeline())),
      optimizer(build_optimizer(experiment.config().optimizer, named_parameters(*model))),
      scaler(precision.scaled, experiment.device()),
      metrics(experiment.device()) {
  const auto& config = experiment.config();
  if (!ranks->is_alone()) {
    share_model();
    const auto megabyte = static_cast<double>(1 << 20);
    reducer = std::make_unique<GradientReducer>(
        ranks, named_parameters(*model),
        ReducerOptions{
            .bucket_bytes = static_cast<std::int64_t>(config.parallel.bucket_mb * megabyte),
            .find_unused_parameters = config.parallel.find_unused_parameters});
    if (config.parallel.batch_norm == "sync") {
      statistics = std::make_shared<StatisticsSync>(StatisticsSync{.ranks = ranks});
      synchronize_batch_norm(*model, statistics);
    }
    // After the initial weights, which rank 0 draws as a process alone does.
    if (!ranks->is_root()) {
      seed_generators(static_cast<std::uint64_t>(config.seed), ranks->rank());
    }
  }
  if (takes_shadows(experiment, precision, *ranks)) {
    shadows = std::make_unique<ShadowWeights>(*model, precision.autocast_dtype);
    std::vector<torch::Tensor> copies;
    for (const auto& [name, parameter] : named_parameters(*model)) {
      copies.push_back(shadows->of(parameter));
    }
    optimizer->use_copies(std::move(copies));
  }
  step = std::make_unique<TrainStep>(StepParts{.model = *model,
                                               .source = *source,
                                               .pipeline = experiment.train_pipeline(),
                                               .optimizer = *optimizer,
                                               .scaler = scaler,
                                               .metrics = metrics,
                                               .reducer = reducer.get(),
                                               .statistics = statistics.get(),
                                               .shadows = shadows.get()},
                                     step_options(config, precision, *ranks), experiment.device());
  if (config.train.cuda_graph) use_graph(*step, experiment, *ranks);
}

void Training::share_model() {
  std::vector<torch::Tensor> tensors;
  for (const auto& [name, tensor] : model_tensors(*model)) tensors.push_back(tensor);
  ranks->broadcast(tensors);
}

}  // namespace xception
