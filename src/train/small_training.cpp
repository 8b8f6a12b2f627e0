#include "small_training.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <utility>

#include "xception/core/first_line.h"
#include "xception/kernels/selftest_settings.h"
#include "xception/models/registry.h"
#include "xception/models/xception.h"
#include "xception/train/generators.h"
#include "xception/train/training.h"

namespace xception {
namespace {

constexpr std::int64_t kBatch = 16;
constexpr std::int64_t kSteps = 5;                     ///< an epoch
constexpr std::int64_t kImages = kBatch * kSteps - 3;  ///< the last batch is smaller
constexpr std::int64_t kValidation = 1;
constexpr std::int64_t kMinImageSize = 32;  ///< px: of a pixel or two BatchNorm makes chance
constexpr double kSgdRate = 1e-3;
/// Low enough that no step of these few is left out for want of range.
constexpr double kLossScale = 64.0;

RunConfig config_of(const SmallTraining& training) {
  RunConfig config;
  config.model.name = training.model;
  // A model that doesn't read them disregards them.
  config.model.own<WidthOptions>().width = 0.125;
  config.model.own<XceptionOptions>().middle_blocks = 1;
  config.model.dropout = training.dropout;
  config.optimizer.name = training.optimizer;
  if (training.optimizer == "sgd") config.optimizer.lr = kSgdRate;
  config.data.image_size = std::max(min_image_size(config.model), kMinImageSize);
  config.data.validation_size = kValidation;
  // Whole pixels are moved, so that all kernels hand the network the same images.
  config.augment.train =
      nlohmann::json::array({{{"name", "pad_and_crop"}}, {{"name", "horizontal_flip"}}});
  config.train.batch_size = kBatch;
  config.train.precision = training.precision;
  config.train.kernels = training.kernels == Kernels::fused ? "fused" : "reference";
  resolve_model(config);
  return config;
}

/// Images that differ in the large, too: what BatchNorm makes of nearly equal ones is chance.
ImageSet made_up(std::int64_t images, std::int64_t side) {
  const auto generator = at::make_generator<at::CPUGeneratorImpl>(std::uint64_t{1});
  const auto coarse = torch::rand({images, 3, 4, 4}, generator);
  const auto fine = torch::rand({images, 3, side, side}, generator);
  const auto values = at::upsample_nearest2d(coarse, {side, side}) * 0.7 + fine * 0.3;
  return {.images = values.mul(255.0).to(torch::kUInt8),
          .labels = torch::arange(images, torch::kInt64).remainder(10)};
}

Dataset made_up_data(std::int64_t side) {
  return {.images = in_memory(made_up(kImages + kValidation, side), made_up(1, side)),
          .class_names = std::vector<std::string>(10, "made up"),
          .name = "made up",
          .checksum = {},
          .folder = {}};
}

std::vector<torch::Tensor> copied(const Classifier& model) {
  std::vector<torch::Tensor> copies;
  for (const auto& parameter : model.parameters()) copies.push_back(parameter.detach().clone());
  return copies;
}

/// Has most values pass the ReLUs. As they are initialized, deep networks of BatchNorm and ReLU
/// blow rounding up from layer to layer: in bfloat16 the gradients of Inception V3's first layers,
/// of few images, are chance. (Yang et al., arXiv 1902.08129, on the explosion of gradients.)
void calm(Classifier& model) {
  const torch::NoGradGuard no_grad;
  for (const auto& module : model.modules()) {
    auto* norm = module->as<BatchNorm2dImpl>();
    if (norm == nullptr) continue;
    norm->weight.fill_(0.5);
    norm->bias.fill_(1.0);
  }
}

/// Logits of the first images.
torch::Tensor evaluated(Classifier& model, const Experiment& experiment, bool fold) {
  const auto loader = experiment.evaluation_loader(Split::train);
  loader->start_epoch(0);
  auto options = experiment.evaluation_options();
  options.fold_batch_norm = fold;
  const torch::NoGradGuard no_grad;
  BatchEvaluator evaluator(model, *loader, options);
  return evaluator.run(kBatch).logits;
}

}  // namespace

std::string test_models(const torch::Device& device,
                        const std::function<std::string(const std::string& model)>& test) {
  const SelftestSettings settings(device.type());
  const auto alone = Communicator::alone();
  Generators generators(device, *alone);
  const auto drawn = generators.state();
  std::string problem;
  try {
    for (const auto& model : one_model_of_each_kind()) {
      problem = test(model);
      if (!problem.empty()) break;
    }
  } catch (const std::exception& error) {
    problem = first_line(error.what());
  }
  generators.load_state(drawn);
  return problem;
}

SmallResult train_small(const SmallTraining& small, const torch::Device& device,
                        const StepGraphMaker& make) {
  seed_generators(0);
  const auto config = config_of(small);
  const Experiment experiment(config, made_up_data(config.data.image_size), device);
  Training training(experiment, Communicator::alone());
  if (training.scaler.enabled()) training.scaler.state().tensors.at("scale").fill_(kLossScale);
  calm(*training.model);
  SmallResult result;
  result.before = copied(*training.model);
  if (make) training.step->use_graph(make, /*quiet=*/true);
  training.model->train();
  for (std::int64_t epoch = 0; epoch < small.epochs; ++epoch) {
    training.loader->start_epoch(epoch);
    const double lr = experiment.config().optimizer.lr / static_cast<double>(1 + epoch);
    training.step->start_epoch(std::vector<double>(kSteps, lr), epoch * kSteps, 0, kBatch);
    for (std::int64_t step = 0; step < small.steps; ++step) {
      training.step->run(std::min(kImages - step * kBatch, kBatch));
    }
  }
  result.after = copied(*training.model);
  if (small.evaluate) {
    result.logits = evaluated(*training.model, experiment, /*fold=*/true);
    const ReferenceKernels plain(*training.model);
    result.plain_logits = evaluated(*training.model, experiment, /*fold=*/false);
  }
  if (const auto* graph = training.step->graph(); graph != nullptr && !graph->is_recorded()) {
    result.obstacle = graph->obstacle().empty() ? "nothing was recorded" : graph->obstacle();
  }
  return result;
}

double distance(const std::vector<torch::Tensor>& a, const std::vector<torch::Tensor>& b) {
  double squares = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto difference = a[i].to(torch::kFloat64) - b[i].to(torch::kFloat64);
    squares += difference.square().sum().item<double>();
  }
  return std::sqrt(squares);
}

}  // namespace xception
