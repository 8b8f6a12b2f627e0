#include <c10/cuda/CUDAFunctions.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "parallel/ranks_testing.h"
#include "support/temporary_folder.h"
#include "train/small_training.h"
#include "xception/kernels/selftest.h"
#include "xception/kernels/selftest_settings.h"
#include "xception/models/branches.h"
#include "xception/models/registry.h"
#include "xception/models/xception.h"
#include "xception/parallel/device.h"
#include "xception/parallel/gradient_reducer.h"
#include "xception/train/device_test.h"
#include "xception/train/experiment.h"
#include "xception/train/generators.h"
#include "xception/train/graph_selftest.h"
#include "xception/train/train_step.h"

namespace xception {
namespace {

/// Skips where there is no GPU; these run wherever there is one.
class GpuTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  }
};

/// A narrow Xception on random images, ready to step, on either device.
struct Fixture {
  Fixture(const torch::Device& device, const std::string& precision_name,
          const std::shared_ptr<Communicator>& ranks = Communicator::alone())
      : place(device) {
    precision = parse_precision(precision_name);
    seed_generators(0);
    config.model.own<WidthOptions>().width = 0.25;
    config.model.own<XceptionOptions>().middle_blocks = 1;
    config.data.image_size = 71;
    resolve_model(config);
    const auto generator_images = torch::randint(0, 256, {40, 3, 32, 32});
    set.images = generator_images.to(torch::kUInt8);
    set.labels = torch::randint(0, 10, {40}, torch::kInt64);
    config.seed = 1;
    config.augment.train = {{{"name", "resize"}, {"size", 80}},
                            {{"name", "random_resized_crop"}},
                            {{"name", "horizontal_flip"}}};
    model = build_model(config.model);
    place_model(*model, device, precision.parameters, true);
    loader = loader_as(precision.images(precision.parameters), PixelSteps::fused);
    optimizer = build_optimizer(config.optimizer, named_parameters(*model));
    scaler = std::make_unique<GradientScaler>(precision.scaled, device);
    metrics = std::make_unique<ClassificationMetrics>(device);
    if (device_is_shared(*ranks)) {
      reducer =
          std::make_unique<GradientReducer>(ranks, named_parameters(*model), ReducerOptions());
    }
    step = std::make_unique<TrainStep>(
        StepParts{*model, *loader, *optimizer, *scaler, *metrics, reducer.get()},
        StepOptions{.precision = precision, .clip_norm = 1.0}, device);
    loader->start_epoch(0);
    step->start_epoch({1e-3, 1e-3, 1e-3, 1e-3, 1e-3}, 0, 0, 8);
    model->train();
  }

  [[nodiscard]] std::unique_ptr<Loader> loader_as(torch::ScalarType dtype, PixelSteps steps) const {
    std::vector<std::int64_t> indices(40);
    for (std::size_t i = 0; i < 40; ++i) indices[i] = static_cast<std::int64_t>(i);
    return make_loader({.images = in_memory(set)}, config,
                       {.indices = indices,
                        .order = Order::shuffled,
                        .transforms = TransformList::train,
                        .dtype = dtype,
                        .steps = steps},
                       place);
  }

  /// Whether the ranks have a process group, be it of one.
  static bool device_is_shared(const Communicator& ranks) {
    return ranks.place().launcher != Launcher::none;
  }

  torch::Device place;
  Precision precision;
  RunConfig config;
  ImageSet set;
  std::shared_ptr<Classifier> model;
  std::unique_ptr<Loader> loader;
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<GradientScaler> scaler;
  std::unique_ptr<ClassificationMetrics> metrics;
  std::unique_ptr<GradientReducer> reducer;
  std::unique_ptr<TrainStep> step;
};

const torch::Device kGpu(torch::kCUDA, 0);

TEST_F(GpuTest, PipelineEqualsTheCpus) {
  Fixture cpu(torch::kCPU, "fp32");
  Fixture gpu(kGpu, "fp32");
  const auto pixels = [](const Fixture& fixture) {
    const auto loader = fixture.loader_as(torch::kFloat32, PixelSteps::unnormalized);
    loader->start_epoch(0);
    return loader->next(40);
  };
  const auto on_cpu = pixels(cpu);
  const auto on_gpu = pixels(gpu);
  EXPECT_TRUE(on_cpu.indices.equal(on_gpu.indices.cpu()));
  const auto difference = (on_cpu.images - on_gpu.images.cpu()).abs();
  EXPECT_LE(difference.max().item<double>(), 1.0);
  EXPECT_LE(difference.gt(0).to(torch::kFloat64).mean().item<double>(), 0.005);
}

/// LibTorch 2.11's own gradient is another one (github.com/pytorch/pytorch/issues/188344).
TEST_F(GpuTest, AveragesHaveTheCpusGradient) {
  const auto images = torch::randn({2, 5, 7, 6}, torch::kFloat64);
  const auto weights = torch::randn({2, 5, 7, 6}, torch::kFloat64);
  const auto gradient = [&](const torch::Device& device) {
    const auto x = images.to(device).contiguous(torch::MemoryFormat::ChannelsLast);
    const auto leaf = x.detach().requires_grad_();
    (avg_pool_3x3(leaf) * weights.to(device)).sum().backward();
    return leaf.grad().cpu();
  };
  EXPECT_LE((gradient(kGpu) - gradient(torch::kCPU)).abs().max().item<double>(), 1e-12);
}

TEST_F(GpuTest, StepsEqualTheCpusInDouble) {
  Fixture cpu(torch::kCPU, "fp64");
  Fixture gpu(kGpu, "fp64");
  for (int i = 0; i < 5; ++i) {
    cpu.step->run(8);
    gpu.step->run(8);
  }
  // A pixel that rounds the other way is the largest difference that two devices may have; Adam's
  // first steps, by a gradient's sign, make more of it.
  EXPECT_NEAR(cpu.metrics->value().loss, gpu.metrics->value().loss, 0.02);
}

TEST_F(GpuTest, HalfPrecisionTrains) {
  for (const auto* name : {"fp16", "bf16"}) {
    Fixture gpu(kGpu, name);
    for (int i = 0; i < 5; ++i) gpu.step->run(8);
    const auto values = gpu.metrics->value();
    EXPECT_EQ(values.count, 40) << name;
    EXPECT_TRUE(std::isfinite(values.loss)) << name;
  }
}

TEST_F(GpuTest, AStepNeverWaitsForTheDevice) {
  Fixture gpu(kGpu, "fp16");
  gpu.step->run(8);  // the first one sets libraries up
  auto& state = c10::cuda::warning_state();
  const auto before = state.get_sync_debug_mode();
  state.set_sync_debug_mode(c10::cuda::SyncDebugMode::L_ERROR);
  EXPECT_NO_THROW(gpu.step->run(8));
  state.set_sync_debug_mode(before);
}

/// Two epochs of eight batches of 5 images (the fixture's 40), and a smaller one at the end.
std::vector<torch::Tensor> weights_after_epochs(Fixture& fixture, bool graph) {
  if (graph) fixture.step->use_graph();
  const std::vector<double> rates(8, 1e-3);
  for (std::int64_t epoch = 0; epoch < 2; ++epoch) {
    fixture.loader->start_epoch(epoch);
    fixture.step->start_epoch(rates, epoch * 8, 0, 5);
    for (const std::int64_t size : {5, 5, 5, 5, 5, 5, 5, 3}) fixture.step->run(size);
  }
  std::vector<torch::Tensor> weights;
  for (const auto& tensor : fixture.model->parameters()) weights.push_back(tensor.detach().cpu());
  for (const auto& tensor : fixture.model->buffers()) weights.push_back(tensor.detach().cpu());
  return weights;
}

TEST_F(GpuTest, ARecordedStepEqualsTheStep) {
  // Adam's first steps go by a gradient's sign: of those that are nearly 0 an algorithm that adds
  // in no fixed order may turn some.
  const SelftestSettings settings(torch::kCUDA);
  for (const auto* name : {"fp32", "fp16"}) {
    Fixture plain(kGpu, name);
    Fixture recorded(kGpu, name);
    std::vector<torch::Tensor> before;
    for (const auto& tensor : plain.model->parameters()) {
      before.push_back(tensor.detach().cpu().clone());
    }
    const auto expected = weights_after_epochs(plain, false);
    const auto found = weights_after_epochs(recorded, true);
    ASSERT_TRUE(recorded.step->graph()->is_recorded()) << recorded.step->graph()->obstacle();
    const auto weights = [&](const std::vector<torch::Tensor>& all) {
      return std::vector<torch::Tensor>(all.begin(), all.begin() + std::ssize(before));
    };
    EXPECT_LE(distance(weights(found), weights(expected)),
              0.1 * distance(weights(expected), before))
        << name;
    EXPECT_NEAR(recorded.metrics->value().loss, plain.metrics->value().loss, 0.05) << name;
    EXPECT_EQ(recorded.metrics->value().count, plain.metrics->value().count) << name;
  }
}

/// Whole networks. They run first where time is short: what they find is the most that a number can
/// be wrong by.
class GpuNetworks : public GpuTest {};

TEST_F(GpuNetworks, LearnAndEvaluateTheSameWithFusedKernels) {
  for (const auto* name : {"fp16", "bf16", "fp32"}) {
    EXPECT_EQ(run_device_test({.device = kGpu, .precision = name}), "") << name;
  }
}

TEST_F(GpuNetworks, LearnTheSameRecorded) {
  EXPECT_EQ(graph_selftest(kGpu, "fp16", Kernels::fused), "");
}

TEST_F(GpuNetworks, AreTestedInAProcessOfTheirOwn) {
  const char* program = std::getenv("XCEPTION_BINARY");
  if (program == nullptr) GTEST_SKIP() << "XCEPTION_BINARY is not set";
  const TemporaryFolder cache;
  ::setenv("XDG_CACHE_HOME", cache.path.c_str(), 1);
  ::setenv("XCEPTION_SELFTEST_WORKER", program, 1);
  EXPECT_EQ(ask_device({.device = kGpu, .precision = "fp16"}, 60).problem, "");
  EXPECT_EQ(ask_device({.kind = DeviceTest::Kind::graph, .device = kGpu, .precision = "fp16"}, 60)
                .problem,
            "");
  forget_verdicts();
  EXPECT_TRUE(ask_device({.device = kGpu, .precision = "fp16"}, 60).kept);
  forget_verdicts();
  ::unsetenv("XDG_CACHE_HOME");
  ::unsetenv("XCEPTION_SELFTEST_WORKER");
}

TEST_F(GpuTest, DevicesAreDescribed) {
  const auto info = describe_device(kGpu);
  EXPECT_FALSE(info.name.empty());
  EXPECT_GT(info.memory_bytes, 0);
  EXPECT_FALSE(info.compute_capability.empty());
  EXPECT_FALSE(gpu_driver().empty());
}

TEST_F(GpuTest, AStepMayBeRecorded) {
  for (const auto* name : {"fp32", "fp16", "bf16"}) {
    for (const auto kernels : {Kernels::fused, Kernels::reference}) {
      EXPECT_EQ(graph_selftest(kGpu, name, kernels), "") << name;
    }
  }
}

TEST_F(GpuTest, OurKernelsRun) {
  EXPECT_EQ(kernel_selftest(0), "");
}

TEST_F(GpuTest, NcclOfOneRankChangesNothing) {
  const torch::Device gpu(torch::kCUDA, 0);
  RankInfo place;
  place.launcher = Launcher::torchrun;
  place.store_address = "localhost";
  place.store_port = free_port();
  place.hosts_store = true;
  const auto ranks = Communicator::connect(place, gpu, {.collective = std::chrono::seconds(60)});
  Fixture with(gpu, "fp32", ranks);
  Fixture without(gpu, "fp32");
  for (int i = 0; i < 5; ++i) {
    with.step->run(8);
    without.step->run(8);
  }
  const auto ours = with.model->parameters();
  const auto theirs = without.model->parameters();
  for (std::size_t i = 0; i < ours.size(); ++i) {
    EXPECT_TRUE(ours[i].allclose(theirs[i], 1e-4, 1e-6)) << i;
  }
  EXPECT_EQ(with.reducer->counters().steps, 5);
  ranks->finish();
}

}  // namespace
}  // namespace xception
