// What bench measures is what train and eval do.
#include <gtest/gtest.h>
#include <torch/utils.h>

#include "data/file_testing.h"
#include "xception/bench/phase_clock.h"
#include "xception/bench/workload.h"
#include "xception/models/registry.h"
#include "xception/models/xception.h"
#include "xception/train/experiment.h"
#include "xception/train/generators.h"
#include "xception/train/trainer.h"

namespace xception {
namespace {

constexpr std::int64_t kImages = 12;
constexpr std::int64_t kBatch = 4;

/// A narrow Xception with dropout on 12 random images, an epoch of three steps.
RunConfig small_config() {
  RunConfig config;
  config.model.own<WidthOptions>().width = 0.1;
  config.model.own<XceptionOptions>().middle_blocks = 0;
  config.data.image_size = 71;
  config.data.validation_size = 0;
  config.train.batch_size = kBatch;
  config.train.epochs = 2;
  config.seed = 3;
  resolve_model(config);
  return config;
}

/// Weights and buffers in the order of the model.
std::vector<torch::Tensor> tensors_of(const Classifier& model) {
  auto tensors = model.parameters();
  for (const auto& buffer : model.buffers()) tensors.push_back(buffer);
  return tensors;
}

void expect_equal(const Classifier& ours, const Classifier& theirs) {
  const auto a = tensors_of(ours);
  const auto b = tensors_of(theirs);
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(a[i].equal(b[i])) << "tensor " << i;
}

class TrainWorkload : public FolderTest {};

TEST_F(TrainWorkload, TrainsAsTheTrainerDoesWatchedOrNot) {
  const auto config = small_config();
  const auto dataset = random_dataset(kImages, config.model.num_classes);
  const RunDirectory directory(folder / "run");
  directory.create();
  seed_generators(static_cast<std::uint64_t>(config.seed));
  const Experiment experiment(config, dataset, torch::kCPU);
  Trainer trainer(experiment, directory, Communicator::alone());
  ASSERT_EQ(trainer.run(), 0);

  const auto workload = build_workload(BenchMode::train, config, dataset, torch::kCPU);
  (void)workload->complexity();  // changes nothing
  PhaseClock clock(torch::kCPU);
  EXPECT_EQ(workload->run(3, kBatch), 3);
  workload->prepare(kBatch);  // the second epoch
  EXPECT_EQ(workload->run(1, kBatch), 1);
  EXPECT_EQ(workload->run(2, kBatch, &clock), 2);
  EXPECT_EQ(clock.take().size(), 2U);
  expect_equal(*workload->model(), trainer.model());
}

TEST_F(TrainWorkload, GoesOnBeyondAnEpochAndWithOtherBatches) {
  const auto config = small_config();
  const auto dataset = random_dataset(kImages, config.model.num_classes);
  const auto workload = build_workload(BenchMode::train, config, dataset, torch::kCPU);
  EXPECT_EQ(workload->run(5, kBatch), 5);
  EXPECT_EQ(workload->run(5, 2), 5);
  EXPECT_EQ(workload->run(2, kImages), 2);
  for (const auto& parameter : workload->model()->parameters()) {
    EXPECT_TRUE(parameter.isfinite().all().item<bool>());
  }
}

TEST(InferenceWorkload, ChangesNothing) {
  auto config = small_config();
  config.train.eval_batch_size = kBatch;
  const auto dataset = random_dataset(kImages, config.model.num_classes);
  const auto fresh = build_workload(BenchMode::inference, config, dataset, torch::kCPU);
  const auto used = build_workload(BenchMode::inference, config, dataset, torch::kCPU);
  EXPECT_EQ(used->run(7, kBatch), 7);
  expect_equal(*used->model(), *fresh->model());
  EXPECT_TRUE(torch::GradMode::is_enabled());
}

TEST(DataWorkload, HasNoModel) {
  const auto config = small_config();
  const auto dataset = random_dataset(kImages, config.model.num_classes);
  const auto workload = build_workload(BenchMode::data, config, dataset, torch::kCPU);
  EXPECT_EQ(workload->run(7, kBatch), 7);
  workload->prepare(kImages);
  EXPECT_EQ(workload->model(), nullptr);
  EXPECT_EQ(workload->complexity().multiply_adds, 0);
}

TEST(BuildWorkload, RefusesABatchLargerThanItsImages) {
  auto config = small_config();
  config.train.batch_size = kImages + 1;
  config.train.eval_batch_size = kImages + 1;
  const auto dataset = random_dataset(kImages, config.model.num_classes);
  for (const auto mode : {BenchMode::train, BenchMode::inference, BenchMode::data}) {
    const auto message =
        error_of([&] { (void)build_workload(mode, config, dataset, torch::kCPU); });
    EXPECT_NE(message.find("found 12 images"), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace xception
