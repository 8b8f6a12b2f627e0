// Batches that grow during a training (train.batch_size_step_epochs).
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "data/file_testing.h"
#include "models/module_state.h"
#include "parallel/ranks_testing.h"
#include "xception/core/error.h"
#include "xception/models/registry.h"
#include "xception/optim/schedule.h"
#include "xception/train/epoch_steps.h"
#include "xception/train/trainer.h"

namespace xception {
namespace {

constexpr std::int64_t kGrowthImages = 22;

RunConfig growing(const std::vector<std::string>& overrides) {
  auto all = overrides;
  for (const auto* text :
       {"model.width=0.125", "model.middle_blocks=0", "model.stem=small", "data.image_size=32",
        "data.validation_size=4", "train.batch_size=4", "train.epochs=3"}) {
    all.emplace_back(text);
  }
  auto config = load_config({}, all);
  resolve_model(config);
  check_together(config);
  return config;
}

Dataset images_of_32_px() {
  at::manual_seed(3);
  const auto images = [](std::int64_t n) {
    return ImageSet{torch::randint(0, 256, {n, 3, 32, 32}).to(torch::kUInt8),
                    torch::randint(0, 10, {n}, torch::kInt64)};
  };
  return {.images = in_memory(images(kGrowthImages + 4), images(4)),
          .class_names = std::vector<std::string>(10, "made up"),
          .name = "made up",
          .checksum = {},
          .folder = {}};
}

/// Images of a step in each of five epochs.
std::vector<std::int64_t> sizes_of_five_epochs(const std::vector<std::string>& overrides) {
  const auto config = growing(overrides);
  std::vector<std::int64_t> sizes;
  for (std::int64_t epoch = 0; epoch < 5; ++epoch) {
    sizes.push_back(batch_size_of(config.train, epoch));
  }
  return sizes;
}

TEST(BatchGrowth, MultipliesEverySoManyEpochs) {
  using Sizes = std::vector<std::int64_t>;
  EXPECT_EQ(sizes_of_five_epochs({}), (Sizes{4, 4, 4, 4, 4}));
  EXPECT_EQ(sizes_of_five_epochs({"train.batch_size_gamma=3"}), (Sizes{4, 4, 4, 4, 4}));
  EXPECT_EQ(sizes_of_five_epochs({"train.batch_size_step_epochs=1"}), (Sizes{4, 8, 16, 32, 64}));
  EXPECT_EQ(sizes_of_five_epochs({"train.batch_size_step_epochs=2", "train.batch_size_gamma=1.5"}),
            (Sizes{4, 4, 6, 6, 9}));
  EXPECT_EQ(sizes_of_five_epochs({"train.batch_size_step_epochs=1", "train.batch_size_max=10"}),
            (Sizes{4, 8, 10, 10, 10}));
  // Without a limit of one's own it is train.batch_size's range.
  auto config = growing({"train.batch_size_step_epochs=1", "train.batch_size_gamma=1000"});
  EXPECT_EQ(batch_size_of(config.train, 1'000'000), 1'000'000);
  config = growing({"train.batch_size_step_epochs=2"});
  config.train.epochs = 5;
  EXPECT_EQ(batch_sizes(config.train), (Sizes{4, 8, 16}));
}

TEST(BatchGrowth, DividesEachEpochByItsOwnSize) {
  const auto config = growing({"train.batch_size_step_epochs=1"});
  EXPECT_EQ(divide_epoch(config, 22, 0).count, 6);
  const auto second = divide_epoch(config, 22, 1);
  EXPECT_EQ(second.count, 3);
  EXPECT_EQ(second.size_of(2), 6);
  EXPECT_EQ(work_left(config, 22, 0).steps, 6 + 3 + 2);
  EXPECT_EQ(work_left(config, 22, 1).images, 44);
  EXPECT_EQ(work_left(config, 22, 3).steps, 0);
  const auto plain = growing({});
  EXPECT_EQ(work_left(plain, 22, 1).steps, 12);
  EXPECT_EQ(work_left(plain, 22, 1).images, 44);
  // 17 images are two batches of 8 and one image, which is dropped; at 16 as well.
  EXPECT_EQ(work_left(config, 17, 0).images, 48);
  auto dropping = growing({"train.batch_size_step_epochs=1", "data.drop_last=true"});
  EXPECT_NO_THROW((void)work_left(dropping, 22, 0));  // 4, 8, 16
  dropping.train.epochs = 4;
  EXPECT_THROW((void)work_left(dropping, 22, 0), Error);  // 32 of 22
}

TEST(BatchGrowth, RefusesWhatCannotBeMeant) {
  EXPECT_THROW(growing({"train.batch_size_max=3"}), Error);
  EXPECT_THROW(growing({"train.batch_size_gamma=0.5"}), Error);
  const auto odd =
      growing({"train.batch_size_step_epochs=1", "train.batch_size_gamma=1.25"});  // 4, 5, 6
  EXPECT_NO_THROW(check_batch_size(odd, 1));
  EXPECT_THROW(check_batch_size(odd, 2), Error);
  EXPECT_NO_THROW(check_batch_size(growing({"train.batch_size_step_epochs=1"}), 4));
}

class BatchGrowthOfRun : public FolderTest {
 protected:
  TensorMap train(const std::string& name, const RunConfig& config, int ranks = 1) {
    apply_runtime_settings(config);
    const RunDirectory directory(folder / name);
    directory.create();
    const Experiment experiment(config, images_of_32_px(), torch::kCPU);
    run_ranks(ranks, [&](const std::shared_ptr<Communicator>& communicator) {
      Trainer trainer(experiment, directory, communicator);
      if (!config.train.init.empty()) trainer.load_initial_weights();
      EXPECT_EQ(trainer.run(), 0);
    });
    return load_safetensors(directory.checkpoints() / "last" / "model.safetensors");
  }
};

TEST_F(BatchGrowthOfRun, EqualsEpochsOfThoseSizesByHand) {
  const auto config = growing({"train.batch_size_step_epochs=1", "schedule.name=cosine",
                               "optimizer.name=sgd", "optimizer.lr=0.05"});
  const auto saved = train("run", config);

  const Experiment experiment(config, images_of_32_px(), torch::kCPU);
  Training training(experiment, Communicator::alone());
  training.model->train();
  std::int64_t done = 0;
  const std::vector<std::vector<std::int64_t>> epochs = {{4, 4, 4, 4, 4, 2}, {8, 8, 6}, {16, 6}};
  for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
    const auto& steps = epochs[static_cast<std::size_t>(epoch)];
    const auto count = static_cast<std::int64_t>(steps.size());
    training.loader->start_epoch(epoch);
    // The learning rate follows the part of the run that is done, however many steps that were.
    const auto rates = learning_rates(config.schedule, 0.05, epoch, count, 3);
    EXPECT_DOUBLE_EQ(rates[0], 0.05 * (1.0 + std::cos(M_PI * static_cast<double>(epoch) / 3)) / 2);
    training.step->start_epoch(rates, done, 0, steps[0]);
    for (const auto size : steps) training.step->run(size);
    done += count;
  }
  for (const auto& [name, tensor] : model_tensors(*training.model)) {
    EXPECT_TRUE(tensor.equal(saved.at(name))) << name;
  }
}

TEST_F(BatchGrowthOfRun, TwoRanksShareTheGrownBatch) {
  // BatchNorm over both ranks, so that a step is one process's but for rounding.
  auto config = growing({"train.batch_size_step_epochs=1", "parallel.batch_norm=sync",
                         "optimizer.name=sgd", "optimizer.lr=0.05", "train.precision=fp64"});
  (void)train("initial", config);
  // Ranks that are threads draw initial weights from one generator.
  config.train.init = (folder / "initial").string();
  const auto alone = train("alone", config);
  const auto both = train("both", config, 2);
  for (const auto& [name, tensor] : alone) {
    EXPECT_TRUE(tensor.allclose(both.at(name), 1e-6, 1e-9)) << name;
  }
}

}  // namespace
}  // namespace xception
