#include "xception/train/graph_selftest.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <utility>
#include <vector>

#include "xception/core/first_line.h"
#include "xception/models/registry.h"
#include "xception/train/generators.h"
#include "xception/train/training.h"

namespace xception {
namespace {

constexpr std::int64_t kBatch = 8;
constexpr std::int64_t kSteps = 5;                     ///< an epoch
constexpr std::int64_t kImages = kBatch * kSteps - 3;  ///< the last batch is smaller
constexpr std::int64_t kEpochs = 2;
constexpr std::int64_t kValidation = 1;
/// Of the length of all updates together: room for kernels that add in no fixed order. On a CPU a
/// graph that leaves out one step differs by 0.36.
constexpr double kTolerance = 0.1;

RunConfig small_run(const std::string& precision, Kernels kernels) {
  RunConfig config;
  config.model.width = 0.125;
  config.model.middle_blocks = 1;
  config.data.image_size = 71;
  config.data.validation_size = kValidation;
  config.train.batch_size = kBatch;
  config.train.precision = precision;
  config.train.kernels = kernels == Kernels::fused ? "fused" : "reference";
  config.train.cuda_graph = false;
  resolve_model(config);
  return config;
}

ImageSet made_up(std::int64_t images) {
  constexpr std::int64_t kSide = 32;
  const auto values = torch::arange(images * 3 * kSide * kSide, torch::kFloat64).mul(0.37);
  return {
      .images = values.sin().add(1.0).mul(127.0).view({images, 3, kSide, kSide}).to(torch::kUInt8),
      .labels = torch::arange(images, torch::kInt64).remainder(10)};
}

std::vector<torch::Tensor> copied(const Classifier& model) {
  std::vector<torch::Tensor> copies;
  for (const auto& parameter : model.parameters()) {
    copies.push_back(parameter.detach().to(torch::kFloat64, /*non_blocking=*/false, /*copy=*/true));
  }
  return copies;
}

/// Length of the difference of two lists as if each were one vector.
double distance(const std::vector<torch::Tensor>& a, const std::vector<torch::Tensor>& b) {
  double squares = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) squares += (a[i] - b[i]).square().sum().item<double>();
  return std::sqrt(squares);
}

struct Trained {
  std::vector<torch::Tensor> before, after;
  std::string obstacle;  ///< why there was no graph
};

Trained trained(const Experiment& experiment, const StepGraphMaker& make) {
  seed_generators(0);
  Training training(experiment, Communicator::alone());
  Trained result{.before = copied(*training.model), .after = {}, .obstacle = {}};
  if (make) training.step->use_graph(make, /*quiet=*/true);
  training.model->train();
  for (std::int64_t epoch = 0; epoch < kEpochs; ++epoch) {
    training.source->start_epoch(epoch);
    const double lr = experiment.config().optimizer.lr / static_cast<double>(1 + epoch);
    training.step->start_epoch(std::vector<double>(kSteps, lr), epoch * kSteps, 0, kBatch);
    for (std::int64_t left = kImages; left > 0; left -= kBatch) {
      training.step->run(std::min(left, kBatch));
    }
  }
  result.after = copied(*training.model);
  if (const auto* graph = training.step->graph(); graph != nullptr && !graph->is_recorded()) {
    result.obstacle = graph->obstacle().empty() ? "nothing was recorded" : graph->obstacle();
  }
  return result;
}

std::string difference(const torch::Device& device, const RunConfig& config,
                       const StepGraphMaker& make) {
  Dataset dataset{.train = made_up(kImages + kValidation),
                  .test = made_up(1),
                  .class_names = std::vector<std::string>(10, "made up"),
                  .name = "made up",
                  .checksum = {},
                  .folder = {}};
  const Experiment experiment(config, std::move(dataset), device);
  const auto expected = trained(experiment, {});
  const auto found = trained(experiment, make);
  if (!found.obstacle.empty()) return found.obstacle;
  const double updates = distance(expected.after, expected.before);
  if (!(updates > 0)) return "a small network doesn't learn";
  // Not finite: false.
  if (distance(found.after, expected.after) <= kTolerance * updates) return {};
  return "a recorded step doesn't do what the step does";
}

}  // namespace

std::string graph_selftest(const torch::Device& device, const std::string& precision,
                           Kernels kernels, const StepGraphMaker& make) {
  const auto alone = Communicator::alone();
  Generators generators(device, *alone);
  const auto drawn = generators.state();
  std::string problem;
  try {
    problem = difference(device, small_run(precision, kernels), make);
  } catch (const std::exception& error) {
    problem = first_line(error.what());
  }
  generators.load_state(drawn);
  return problem;
}

}  // namespace xception
