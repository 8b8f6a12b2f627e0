#include "estimate.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>

#include "xception/core/seconds_since.h"
#include "xception/models/complexity.h"
#include "xception/models/registry.h"
#include "xception/parallel/device.h"
#include "xception/train/experiment.h"
#include "xception/train/loss.h"

namespace xception {
namespace {

using Clock = std::chrono::steady_clock;

/// Side of the images that a CPU is measured with, px: of a few pixels it says little, of many it
/// takes long.
constexpr std::int64_t kMeasuredSize = 64;
constexpr double kTrainingFactor = 3.0;  // forward, and two products as large in the backward pass

double multiply_adds(Classifier& model, std::int64_t image_size) {
  return static_cast<double>(count_complexity(model, image_size).multiply_adds);
}

/// Multiply-adds a second of forward and backward passes over images of `size` px.
double measured_rate(const RunConfig& config, std::int64_t size, const torch::Device& device) {
  const std::int64_t count = device.is_cpu() ? 16 : 32;
  const auto precision = parse_precision(config.train.precision);
  const auto model = build_model(config.model);
  const auto cost = multiply_adds(*model, size);
  place_model(*model, device, precision.parameters, config.train.channels_last);
  const auto images =
      torch::rand({count, 3, size, size}, torch::TensorOptions(device).dtype(precision.parameters))
          .contiguous(torch::MemoryFormat::ChannelsLast);
  const auto labels = torch::zeros({count}, torch::TensorOptions(device).dtype(torch::kInt64));
  const auto forward = [&](std::int64_t n) {
    const Autocast autocast(precision, device.type());
    return summed_cross_entropy(model->forward(images.narrow(0, 0, n)).logits,
                                labels.narrow(0, 0, n));
  };
  const auto step_of = [&](std::int64_t n) {
    const auto start = Clock::now();
    forward(n).backward();
    synchronize(device);
    return seconds_since(start);
  };
  // Where two images are slow (fp16 on most CPUs), they must do: one would leave BatchNorm nothing
  // to average over. The first step sets libraries up.
  auto two = step_of(2);
  if (two < 1.5) two = step_of(2);
  if (device.is_cpu() && two > 1.0) return cost * kTrainingFactor * 2.0 / two;
  // The first step sets libraries up; of the others the fastest is least disturbed by other work.
  const auto start = Clock::now();
  double fastest = std::numeric_limits<double>::infinity();
  for (int i = 0; i < 2 || (i < 5 && seconds_since(start) < 1.0); ++i) {
    fastest = std::min(fastest, step_of(count));
  }
  return cost * kTrainingFactor * static_cast<double>(count) / fastest;
}

}  // namespace

std::optional<std::vector<double>> estimate_seconds(const TrialPlan& plan, const Dataset& dataset,
                                                    const torch::Device& device,
                                                    std::chrono::seconds patience) {
  const auto start = Clock::now();
  const auto limit = static_cast<double>(patience.count());
  std::map<std::string, double> costs;  // of one image, by the model's config and the image size
  double rate = 0.0;
  std::vector<double> seconds;
  for (const auto& trial : plan.trials) {
    const auto& config = trial.config;
    const auto size = config.data.image_size;
    const auto smallest = min_image_size(config.model);
    if (rate == 0.0) {
      const auto measured = std::max(smallest, std::min(size, kMeasuredSize));
      rate = measured_rate(config, device.is_cpu() ? measured : size, device);
    }
    const auto key = to_json(config)["model"].dump() + std::to_string(size);
    auto [cost, is_new] = costs.emplace(key, 0.0);
    if (is_new) {
      if (seconds_since(start) > limit) return std::nullopt;
      const auto model = build_model(config.model);
      const auto scale = static_cast<double>(size) / static_cast<double>(smallest);
      cost->second = multiply_adds(*model, smallest) * scale * scale;
      // Better than by the area: counting evaluates an image, for which there may be time.
      if (seconds_since(start) + cost->second / rate < limit) {
        cost->second = multiply_adds(*model, size);
      }
    }
    const auto splits =
        split_dataset(dataset, config.data, static_cast<std::uint64_t>(config.seed));
    const auto images = kTrainingFactor * static_cast<double>(splits.train.size()) +
                        static_cast<double>(splits.validation.size());
    seconds.push_back(images * cost->second * static_cast<double>(config.train.epochs) / rate);
  }
  return seconds;
}

}  // namespace xception
