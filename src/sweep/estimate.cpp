#include "estimate.h"

#include <chrono>
#include <map>

#include "xception/models/complexity.h"
#include "xception/models/registry.h"
#include "xception/parallel/device.h"
#include "xception/train/experiment.h"
#include "xception/train/train_step.h"

namespace xception {
namespace {

constexpr std::int64_t kImages = 32;
constexpr double kTrainingFactor = 3.0;  // forward, and two products as large in the backward pass

/// Multiply-adds a second of forward and backward passes.
double measured_rate(const RunConfig& config, double multiply_adds, const torch::Device& device) {
  const auto precision = parse_precision(config.train.precision);
  const auto model = build_model(config.model);
  place_model(*model, device, precision.parameters, config.train.channels_last);
  const auto size = config.data.image_size;
  const auto images = torch::rand({kImages, 3, size, size},
                                  torch::TensorOptions(device).dtype(precision.parameters))
                          .contiguous(torch::MemoryFormat::ChannelsLast);
  const auto labels = torch::zeros({kImages}, torch::TensorOptions(device).dtype(torch::kInt64));
  const auto pass = [&] {
    torch::Tensor loss;
    {
      const Autocast autocast(precision, device.type());
      loss = summed_cross_entropy(model->forward(images).logits, labels);
    }
    loss.backward();
    synchronize(device);
  };
  pass();  // the first one sets libraries up
  const auto start = std::chrono::steady_clock::now();
  pass();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return multiply_adds * kTrainingFactor * kImages / seconds.count();
}

}  // namespace

std::vector<double> estimate_seconds(const TrialPlan& plan, const Dataset& dataset,
                                     const torch::Device& device) {
  std::map<std::string, double> costs;  // of one image, by the model's config and the image size
  double rate = 0.0;
  std::vector<double> seconds;
  for (const auto& trial : plan.trials) {
    const auto& config = trial.config;
    const auto key = to_json(config)["model"].dump() + std::to_string(config.data.image_size);
    auto [cost, is_new] = costs.emplace(key, 0.0);
    if (is_new) {
      const auto model = build_model(config.model);
      cost->second =
          static_cast<double>(count_complexity(*model, config.data.image_size).multiply_adds);
    }
    if (rate == 0.0) rate = measured_rate(config, cost->second, device);
    const auto splits =
        split_dataset(dataset, config.data, static_cast<std::uint64_t>(config.seed));
    const auto images = kTrainingFactor * static_cast<double>(splits.train.size()) +
                        static_cast<double>(splits.validation.size());
    seconds.push_back(images * cost->second * static_cast<double>(config.train.epochs) / rate);
  }
  return seconds;
}

}  // namespace xception
