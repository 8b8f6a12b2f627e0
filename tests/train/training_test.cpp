// What a config makes of a training.

#include "xception/train/training.h"

#include <gtest/gtest.h>

#include <functional>

#include "parallel/ranks_testing.h"
#include "xception/models/registry.h"
#include "xception/models/xception.h"

namespace xception {
namespace {

RunConfig small() {
  RunConfig config;
  config.model.own<XceptionOptions>().width = 0.125;
  config.model.own<XceptionOptions>().middle_blocks = 1;
  config.data.image_size = 71;
  config.data.validation_size = 1;
  config.train.batch_size = 4;
  config.train.precision = "bf16";
  return config;
}

Dataset made_up() {
  const auto images = [](std::int64_t n) {
    return ImageSet{torch::zeros({n, 3, 8, 8}, torch::kUInt8), torch::zeros({n}, torch::kInt64)};
  };
  return {.train = images(9),
          .test = images(1),
          .class_names = std::vector<std::string>(10, "made up"),
          .name = "made up",
          .checksum = {},
          .folder = {}};
}

bool has_shadows(const std::function<void(RunConfig&)>& change, int ranks = 1) {
  auto config = small();
  change(config);
  resolve_model(config);
  const Experiment experiment(config, made_up(), torch::kCPU);
  bool has = false;
  run_ranks(ranks, [&](const std::shared_ptr<Communicator>& communicator) {
    const Training training(experiment, communicator);
    if (communicator->is_root()) has = training.shadows != nullptr;
  });
  return has;
}

TEST(Training, ComputesWithShadowWeightsWhereGradientsMayBeNarrow) {
  EXPECT_TRUE(has_shadows([](RunConfig&) {}));
  EXPECT_TRUE(has_shadows([](RunConfig& config) { config.train.precision = "fp16"; }));
  EXPECT_FALSE(has_shadows([](RunConfig& config) { config.train.precision = "fp32"; }));
  EXPECT_FALSE(has_shadows([](RunConfig& config) { config.train.kernels = "reference"; }));
  EXPECT_FALSE(has_shadows([](RunConfig& config) { config.train.accumulate = 2; }));
  EXPECT_FALSE(has_shadows([](RunConfig& config) { config.optimizer.clip_norm = 1.0; }));
  EXPECT_FALSE(has_shadows([](RunConfig&) {}, 2));
}

}  // namespace
}  // namespace xception
