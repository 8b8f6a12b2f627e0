// What a config makes of a training.

#include "xception/train/training.h"

#include <gtest/gtest.h>

#include <functional>

#include "data/file_testing.h"
#include "data/made_up_format.h"
#include "parallel/ranks_testing.h"
#include "xception/core/json.h"
#include "xception/models/registry.h"
#include "xception/models/xception.h"
#include "xception/train/trainer.h"

namespace xception {
namespace {

RunConfig small() {
  RunConfig config;
  config.model.own<WidthOptions>().width = 0.125;
  config.model.own<XceptionOptions>().middle_blocks = 1;
  config.data.image_size = 71;
  config.data.validation_size = 1;
  config.train.batch_size = 4;
  config.train.precision = "bf16";
  return config;
}

Dataset small_dataset() {
  const auto images = [](std::int64_t n) {
    return ImageSet{torch::zeros({n, 3, 8, 8}, torch::kUInt8), torch::zeros({n}, torch::kInt64)};
  };
  return {.images = in_memory(images(9), images(1)),
          .class_names = std::vector<std::string>(10, "made up"),
          .name = "made up",
          .checksum = {},
          .folder = {}};
}

bool has_low_precision_weights(const std::function<void(RunConfig&)>& change, int ranks = 1) {
  auto config = small();
  change(config);
  resolve_model(config);
  const Experiment experiment(config, small_dataset(), torch::kCPU);
  bool has = false;
  run_ranks(ranks, [&](const std::shared_ptr<Communicator>& communicator) {
    const Training training(experiment, communicator);
    if (communicator->is_root()) has = training.low_precision != nullptr;
  });
  return has;
}

TEST(Training, ComputesWithLowPrecisionWeightsWhereGradientsMayBeNarrow) {
  EXPECT_TRUE(has_low_precision_weights([](RunConfig&) {}));
  EXPECT_TRUE(
      has_low_precision_weights([](RunConfig& config) { config.train.precision = "fp16"; }));
  EXPECT_FALSE(
      has_low_precision_weights([](RunConfig& config) { config.train.precision = "fp32"; }));
  EXPECT_FALSE(
      has_low_precision_weights([](RunConfig& config) { config.train.kernels = "reference"; }));
  EXPECT_FALSE(has_low_precision_weights([](RunConfig& config) { config.train.accumulate = 2; }));
  EXPECT_FALSE(
      has_low_precision_weights([](RunConfig& config) { config.optimizer.clip_norm = 1.0; }));
  EXPECT_FALSE(has_low_precision_weights([](RunConfig&) {}, 2));
}

class StreamedTraining : public FolderTest {
 protected:
  /// Trains on images that are read one by one; returns the weights.
  [[nodiscard]] std::vector<torch::Tensor> train(const std::string& name) const {
    auto config = small();
    config.model.num_classes = 3;
    config.data.test_limit = 4;
    config.train.epochs = 2;
    resolve_model(config);
    apply_runtime_settings(config);
    const RunDirectory directory(folder / name);
    directory.create();
    const Experiment experiment(config, made_up::open(config.data), torch::kCPU);
    Trainer trainer(experiment, directory, Communicator::alone());
    EXPECT_EQ(trainer.run(), 0);
    const auto summary = read_json(directory.summary(), "test");
    EXPECT_EQ(summary["status"], "complete");
    EXPECT_EQ(summary["data"]["train"], made_up::kTrain);
    EXPECT_EQ(summary["data"]["validation"], made_up::kValidation);
    EXPECT_EQ(summary["data"]["test"], 4);
    return trainer.model().parameters();
  }
};

TEST_F(StreamedTraining, NeedsNothingButACatalogAndRepeats) {
  const auto first = train("first");
  const auto second = train("second");
  for (std::size_t i = 0; i < first.size(); ++i) EXPECT_TRUE(first[i].equal(second[i])) << i;
}

}  // namespace
}  // namespace xception
