// A GPU's fault in the middle of a run, made up on the CPU.
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "data/file_testing.h"
#include "xception/models/registry.h"
#include "xception/models/xception.h"
#include "xception/train/checkpoint.h"
#include "xception/train/trainer.h"

namespace xception {
namespace {

/// Fails in the second epoch as LibTorch does.
struct FailingGpu : RunObserver {
  void on_epoch(const EpochRecord& record) override {
    if (record.epoch < 2) return;
    throw std::runtime_error(
        "CUDA error: an illegal memory access was encountered\nSearch for "
        "`cudaErrorIllegalAddress'");
  }
};

/// Whose destructor must not be reached: what lies on such a GPU may abort the process.
struct Unreachable {
  ~Unreachable() { std::abort(); }
};

Dataset made_up() {
  const auto images = [](std::int64_t n) {
    return ImageSet{
        torch::arange(n * 3 * 8 * 8).remainder(251).view({n, 3, 8, 8}).to(torch::kUInt8),
        torch::arange(n, torch::kInt64).remainder(10)};
  };
  return {.images = in_memory(images(8), images(4)),
          .class_names = std::vector<std::string>(10, "made up"),
          .name = "made up",
          .checksum = {},
          .folder = {}};
}

class DeviceFaultInTraining : public FolderTest {
 protected:
  DeviceFaultInTraining() {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    // The process that dies leaves its own folder behind: below this one's.
    ::setenv("TMPDIR", folder.c_str(), 1);
  }
  ~DeviceFaultInTraining() override { ::unsetenv("TMPDIR"); }

  /// Trains two epochs of two steps.
  void train(const std::string& kernels) const {
    RunConfig config;
    config.model.own<WidthOptions>().width = 0.1;
    config.model.own<XceptionOptions>().middle_blocks = 0;
    config.data.image_size = 71;
    config.data.validation_size = 0;
    config.train.batch_size = 4;
    config.train.epochs = 2;
    config.train.kernels = kernels;
    config.train.cuda_graph = false;
    resolve_model(config);
    const RunDirectory directory(folder / "run");
    directory.create();
    const Experiment experiment(config, made_up(), torch::kCPU);
    const Unreachable unreachable;
    Trainer trainer(experiment, directory, Communicator::alone());
    trainer.add_observer(std::make_shared<FailingGpu>());
    trainer.run();
  }
};

using DeviceFaultInTrainingDeathTest = DeviceFaultInTraining;

TEST_F(DeviceFaultInTrainingDeathTest, EndsInALineThatSaysHowToGoOn) {
  EXPECT_EXIT(
      train("fused"), testing::ExitedWithCode(1),
      "^error: \\[train\\] cpu: CUDA error: an illegal memory access was encountered, at about "
      "step [0-9]+ \\(epoch 2\\); the last checkpoint is intact; our own kernels or the "
      "recorded step may be at fault: go on without them by --resume "
      "train.kernels=reference train.cuda_graph=false\n$");
}

TEST_F(DeviceFaultInTrainingDeathTest, BlamesNobodyWhoWasNotThere) {
  EXPECT_EXIT(train("reference"), testing::ExitedWithCode(1),
              "so look at the GPU: xception doctor");
}

}  // namespace
}  // namespace xception
