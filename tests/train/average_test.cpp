// Averages of the weights in a training: steps, ranks, BatchNorm's statistics, files.
#include <gtest/gtest.h>

#include <mutex>

#include "data/file_testing.h"
#include "models/module_state.h"
#include "parallel/ranks_testing.h"
#include "train/batch_norm_statistics.h"
#include "xception/core/error.h"
#include "xception/core/json.h"
#include "xception/models/registry.h"
#include "xception/models/xception.h"
#include "xception/train/lr_range_test.h"
#include "xception/train/trainer.h"

namespace xception {
namespace {

constexpr std::int64_t kAverageImages = 16;
constexpr std::int64_t kBatch = 4;

RunConfig config_with(const std::vector<std::string>& overrides) {
  auto all = overrides;
  for (const auto* text : {"model.width=0.125", "model.middle_blocks=1", "data.image_size=71",
                           "data.validation_size=4", "train.batch_size=4", "model.dropout=0.5"}) {
    all.emplace_back(text);
  }
  auto config = load_config({}, all);
  resolve_model(config);
  return config;
}

Dataset random_images() {
  at::manual_seed(3);
  const auto images = [](std::int64_t n) {
    return ImageSet{torch::randint(0, 256, {n, 3, 32, 32}).to(torch::kUInt8),
                    torch::randint(0, 10, {n}, torch::kInt64)};
  };
  return {.images = in_memory(images(kAverageImages + 4), images(8)),
          .class_names = std::vector<std::string>(10, "made up"),
          .name = "made up",
          .checksum = {},
          .folder = {}};
}

TensorMap copies_of(const Classifier& model) {
  auto tensors = model_tensors(model);
  for (auto& [name, tensor] : tensors) tensor = tensor.detach().clone();
  return tensors;
}

/// Floating-point tensors alone.
double largest_change(const TensorMap& one, const TensorMap& other) {
  double largest = 0.0;
  for (const auto& [name, tensor] : one) {
    if (!tensor.is_floating_point()) continue;
    const auto difference = (tensor - other.at(name)).abs().max().item<double>();
    largest = std::max(largest, difference);
  }
  return largest;
}

TEST(Average, IsUpdatedInEachStepOnEveryRank) {
  const auto config = config_with({"average.name=ema", "average.decay=0.7"});
  const Experiment experiment(config, random_images(), torch::kCPU);
  for (const int size : {1, 2}) {
    std::vector<TensorMap> averages(static_cast<std::size_t>(size));
    std::mutex mutex;
    run_ranks(size, [&](const std::shared_ptr<Communicator>& ranks) {
      Training training(experiment, ranks);
      training.model->train();
      training.loader->start_epoch(0);
      training.step->start_epoch({1e-3, 1e-3, 1e-3, 1e-3}, 0, 0, kBatch);
      auto expected = copies_of(*training.model);
      for (int step = 0; step < 4; ++step) {
        training.step->run(kBatch);
        const torch::NoGradGuard no_grad;
        for (const auto& [name, tensor] : model_tensors(*training.model)) {
          if (tensor.is_floating_point()) expected[name].mul_(0.7).add_(tensor, 0.3);
        }
      }
      const auto trained = copies_of(*training.model);
      {
        const AveragesInPlace in_place(training.average.get());
        EXPECT_LE(largest_change(copies_of(*training.model), expected), 1e-5);
        EXPECT_GT(largest_change(copies_of(*training.model), trained), 1e-3);
        const std::lock_guard lock(mutex);
        averages.at(static_cast<std::size_t>(ranks->rank())) = copies_of(*training.model);
      }
      EXPECT_EQ(largest_change(copies_of(*training.model), trained), 0.0);
    });
    for (const auto& [name, tensor] : averages.front()) {
      // BatchNorm's running statistics are each rank's own until they are evaluated.
      if (name.find("running") != std::string::npos) continue;
      EXPECT_TRUE(tensor.equal(averages.back().at(name))) << name;
    }
  }
}

TEST(Average, StatisticsAreThoseOfUpdateBn) {
  auto config = config_with({"train.precision=fp64"});
  const Experiment experiment(config, random_images(), torch::kCPU);
  const auto model = experiment.build_model(parse_precision("fp64"));
  const auto before = copies_of(*model);
  model->train();
  const auto images = experiment.first_training_images(10);
  recompute_batch_norm(*model, *images, parse_precision("fp64"), kBatch);  // 4, 4, 2
  EXPECT_TRUE(model->is_training());
  const auto ours = copies_of(*model);
  EXPECT_EQ(ours.at("bn1.num_batches_tracked").item<std::int64_t>(),
            before.at("bn1.num_batches_tracked").item<std::int64_t>());

  // torch.optim.swa_utils.update_bn with LibTorch's own layers.
  config.train.kernels = "reference";
  config.model.dropout = 0.0;
  const Experiment plain(config, random_images(), torch::kCPU);
  const auto reference = plain.build_model(parse_precision("fp64"));
  load_module_state(*reference, before);
  for (const auto& module : reference->modules(/*include_self=*/false)) {
    if (auto* norm = module->as<torch::nn::BatchNorm2dImpl>()) {
      norm->reset_running_stats();
      norm->options.momentum(std::nullopt);
    }
  }
  reference->train();
  const auto same_images = experiment.first_training_images(10);  // pixels by the same kernels
  same_images->start_epoch(0);
  const torch::NoGradGuard no_grad;
  for (const std::int64_t count : {4, 4, 2}) reference->forward(same_images->next(count).images);
  const auto theirs = copies_of(*reference);
  EXPECT_LE(largest_change(ours, theirs), 1e-10);
  EXPECT_GT(largest_change(ours, before), 1e-2);
}

class AverageOfRun : public FolderTest {
 protected:
  /// Trains into a folder of that name.
  RunDirectory train(const std::string& name, const std::vector<std::string>& overrides,
                     int ranks = 1) {
    const auto config = config_with(overrides);
    apply_runtime_settings(config);
    RunDirectory directory(folder / name);
    directory.create();
    const Experiment experiment(config, random_images(), torch::kCPU);
    run_ranks(ranks, [&](const std::shared_ptr<Communicator>& communicator) {
      Trainer trainer(experiment, directory, communicator);
      EXPECT_EQ(trainer.run(), 0);
    });
    return directory;
  }

  /// What is saved as the model, as `last` or `best`.
  static TensorMap model_of(const RunDirectory& directory, const std::string& checkpoint = "last") {
    return load_safetensors(directory.checkpoints() / checkpoint / "model.safetensors");
  }
  static TensorMap trained_of(const RunDirectory& directory) {
    TensorMap trained;
    const std::string prefix = "average/trained.";
    for (const auto& [name, tensor] :
         load_safetensors(directory.checkpoints() / "last" / "optimizer.safetensors")) {
      if (name.starts_with(prefix)) trained[name.substr(prefix.size())] = tensor;
    }
    return trained;
  }
};

TEST_F(AverageOfRun, IsWhatIsSavedAndTrainingIsTheSame) {
  const auto plain = train("plain", {"train.epochs=2"});
  const auto ema = train("ema", {"train.epochs=2", "average.name=ema", "average.decay=0.5"});
  EXPECT_TRUE(trained_of(plain).empty());
  const auto trained = trained_of(ema);
  ASSERT_FALSE(trained.empty());
  // Nobody's training is changed by an average.
  EXPECT_EQ(largest_change(trained, model_of(plain)), 0.0);
  EXPECT_GT(largest_change(trained, model_of(ema)), 1e-3);
  EXPECT_EQ(read_json(ema.summary(), "test")["average"], "ema");
  EXPECT_FALSE(read_json(plain.summary(), "test").contains("average"));
}

TEST_F(AverageOfRun, SwaIsTheMeanOfTheEpochsEnds) {
  // The weights after one, two and three epochs of the same run.
  std::vector<TensorMap> ends;
  for (const auto* epochs : {"train.epochs=1", "train.epochs=2", "train.epochs=3"}) {
    ends.push_back(model_of(train(epochs, {epochs})));
  }
  const auto swa =
      model_of(train("swa", {"train.epochs=3", "average.name=swa", "average.start_epoch=2"}));
  auto expected = ends[1];
  for (auto& [name, tensor] : expected) {
    tensor = tensor.is_floating_point() ? 0.5 * (tensor + ends[2].at(name)) : ends[2].at(name);
  }
  EXPECT_LE(largest_change(swa, expected), 1e-5);
  EXPECT_TRUE(swa.at("bn1.num_batches_tracked").equal(expected.at("bn1.num_batches_tracked")));
}

TEST_F(AverageOfRun, EvaluatesTheAverages) {
  // Averages that never leave the initial weights: every epoch has the same validation loss.
  const auto directory = train("run", {"train.epochs=2", "average.name=ema",
                                       "average.decay=0.99999999999", "optimizer.lr=0.01"});
  std::vector<double> losses;
  const auto summary = read_json(directory.summary(), "test");
  EXPECT_EQ(summary["best_epoch"], 1);
  const auto config = config_with({});
  apply_runtime_settings(config);
  const Experiment experiment(config, random_images(), torch::kCPU);
  const auto untrained = experiment.build_model(parse_precision("fp32"));
  EXPECT_LE(largest_change(model_of(directory), copies_of(*untrained)), 1e-6);
  const auto loader = experiment.evaluation_loader(Split::test);
  const auto tested = evaluate(*untrained, *loader, experiment.evaluation_options());
  EXPECT_NEAR(summary["test_loss"].get<double>(), tested->metrics.loss, 1e-5);
}

TEST_F(AverageOfRun, RecomputesStatisticsAlsoOnRanks) {
  for (const auto* norm : {"rank0", "sync"}) {
    const auto directory =
        train(norm,
              {"train.epochs=2", "average.name=swa", "average.batch_norm=recompute",
               "average.batch_norm_images=8", std::string("parallel.batch_norm=") + norm},
              2);
    const auto saved = model_of(directory);
    const auto config = config_with({});
    const Experiment experiment(config, random_images(), torch::kCPU);
    const auto model = experiment.build_model(parse_precision("fp32"));
    load_module_state(*model, saved);
    const auto images = experiment.first_training_images(8);
    recompute_batch_norm(*model, *images, parse_precision("fp32"), 2);
    EXPECT_LE(largest_change(copies_of(*model), saved), 1e-5) << norm;
  }
}

TEST_F(AverageOfRun, RefusesToLookAtValidationImagesThatAreNotThere) {
  for (const auto* text : {"schedule.name=plateau", "train.early_stop_patience=2"}) {
    auto config = config_with({text});
    config.data.validation_size = 0;
    const Experiment experiment(config, random_images(), torch::kCPU);
    const auto message = error_of(
        [&] { Trainer(experiment, RunDirectory(folder / "none"), Communicator::alone()); });
    EXPECT_NE(message.find("data.validation_size"), std::string::npos) << message;
  }
}

TEST(LrRangeTest, SmoothsAndSuggestsAsFastai) {
  // A loss that falls fastest at step 50 and is lowest at step 70.
  const LrRange range{.low = 1e-6, .high = 1.0, .steps = 101};
  EXPECT_NEAR(rate_of_step(range, 50), 1e-3, 1e-15);
  LrRangeTest test;
  std::vector<double> smoothed;
  double mean = 0.0;
  for (int i = 0; i < 101; ++i) {
    const double loss = 2.0 - std::tanh((i - 45) / 6.0) + (i > 80 ? std::exp(i - 80) : 0.0);
    mean = 0.98 * mean + 0.02 * loss;  // fastai's AvgSmoothLoss
    smoothed.push_back(mean / (1.0 - std::pow(0.98, i + 1)));
    if (!add_loss(test, rate_of_step(range, i), loss)) break;
  }
  EXPECT_TRUE(test.diverged);
  ASSERT_LT(test.losses.size(), 101U);
  ASSERT_GT(test.losses.size(), 80U);
  std::size_t steepest = 0;
  std::size_t lowest = 0;
  // fastai's cut: the first tenth and the last five are left out.
  for (std::size_t i = test.losses.size() / 10; i + 5 < test.losses.size(); ++i) {
    EXPECT_NEAR(test.smoothed[i], smoothed[i], 1e-12);
    const auto fall = [&](std::size_t at) { return smoothed[at] - smoothed[at + 1]; };
    const bool has_next = i + 6 < test.losses.size();
    if (has_next && (steepest == 0 || fall(i) > fall(steepest))) steepest = i;
    if (lowest == 0 || smoothed[i] < smoothed[lowest]) lowest = i;
  }
  suggest_rates(test);
  EXPECT_EQ(test.steepest, test.rates[steepest]);
  EXPECT_NEAR(test.tenth_of_minimum, test.rates[lowest] / 10.0, 1e-15);
  EXPECT_FALSE(add_loss(test, 1.0, std::nan("")));
  LrRangeTest none;
  EXPECT_THROW(suggest_rates(none), Error);
}

}  // namespace
}  // namespace xception
