// Ranks against one process: gradients, weights, evaluation; and against PyTorch's
// DistributedDataParallel. The ranks are threads.
#include <gtest/gtest.h>

#include <fmt/format.h>
#include <mutex>

#include "models/module_state.h"
#include "parallel/ranks_testing.h"
#include "support/python.h"
#include "xception/models/registry.h"
#include "xception/models/xception.h"
#include "xception/parallel/gradient_reducer.h"
#include "xception/train/evaluator.h"
#include "xception/train/experiment.h"
#include "xception/train/train_step.h"

namespace xception {
namespace {

constexpr double kGradientTolerance = 1e-10;
constexpr double kWeightTolerance = 1e-8;

/// What a rank is trained with.
struct Recipe {
  ModelConfig model = {};
  std::int64_t side = 71;
  std::int64_t batch = 8;
  std::int64_t accumulate = 1;
  bool sync = true;
  double aux_weight = 0.0;
  double bucket_bytes = 1 << 16;  // several buckets
};

ModelConfig narrow_xception() {
  ModelConfig config;
  config.name = "xception";
  config.own<WidthOptions>().width = 0.125;
  config.own<XceptionOptions>().middle_blocks = 1;
  return config;
}

ImageSet random_images(std::int64_t n, std::int64_t side) {
  at::manual_seed(7);
  return {torch::randint(0, 256, {n, 3, side, side}).to(torch::kUInt8),
          torch::randint(0, 10, {n}, torch::kInt64)};
}

/// A loader of the set, resized to `side`; its pixels as they are: mean 0 and standard deviation
/// 1/255.
std::unique_ptr<Loader> loader_of(const ImageSet& set, Order order, std::int64_t side) {
  RunConfig config;
  config.seed = 1;
  config.data.image_size = side;
  config.augment.test = {{{"name", "resize"}}};
  config.augment.mean = {0.0, 0.0, 0.0};
  config.augment.std = {1.0 / 255.0, 1.0 / 255.0, 1.0 / 255.0};
  std::vector<std::int64_t> indices(static_cast<std::size_t>(set.labels.size(0)));
  for (std::size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<std::int64_t>(i);
  return make_loader({.images = in_memory(set)}, config,
                     {.indices = indices, .order = order, .dtype = torch::kFloat64}, torch::kCPU);
}

/// One rank: everything that a step needs, in float64.
class Rank {
 public:
  Rank(const Recipe& recipe, const ImageSet& set, Order order,
       const std::shared_ptr<Communicator>& ranks, const TensorMap& start = {})
      : loader_(loader_of(set, order, recipe.side)), batch_(recipe.batch) {
    {
      // The generator is the process's, and the ranks are its threads.
      static std::mutex mutex;
      const std::lock_guard lock(mutex);
      at::manual_seed(5);
      model = build_model(recipe.model);
    }
    place_model(*model, torch::kCPU, torch::kFloat64, true);
    if (!start.empty()) load_module_state(*model, start);
    if (!ranks->is_alone()) {
      reducer_ = std::make_unique<GradientReducer>(
          ranks, named_parameters(*model),
          ReducerOptions{.bucket_bytes = static_cast<std::int64_t>(recipe.bucket_bytes)});
      if (recipe.sync) {
        statistics_.ranks = ranks;
        synchronize_batch_norm(*model, std::shared_ptr<StatisticsSync>(&statistics_, [](auto*) {}));
      }
    }
    optimizer_ = build_optimizer(OptimizerConfig(), named_parameters(*model));
    step_ =
        std::make_unique<TrainStep>(StepParts{.model = *model,
                                              .loader = *loader_,
                                              .optimizer = *optimizer_,
                                              .scaler = scaler_,
                                              .metrics = metrics,
                                              .reducer = reducer_.get(),
                                              .statistics = recipe.sync ? &statistics_ : nullptr},
                                    StepOptions{.precision = parse_precision("fp64"),
                                                .accumulate = recipe.accumulate,
                                                .loss = {.aux_weight = recipe.aux_weight},
                                                .rank = ranks->rank(),
                                                .ranks = ranks->size()},
                                    torch::kCPU);
    model->train();
  }

  /// So many steps, over as many epochs as they take.
  void train(std::int64_t steps) {
    const auto per_epoch = (loader_->size() + batch_ - 1) / batch_;
    for (std::int64_t step = 0; step < steps; ++step) {
      if (step % per_epoch == 0) {
        loader_->start_epoch(step / per_epoch);
        step_->start_epoch(std::vector<double>(static_cast<std::size_t>(per_epoch), 1e-3), step, 0,
                           batch_);
      }
      step_->run(std::min(batch_, loader_->size() - step % per_epoch * batch_));
      if (step == 0) {
        for (const auto& [name, parameter] : named_parameters(*model)) {
          if (parameter.grad().defined()) gradients[name] = parameter.grad().clone();
        }
      }
    }
  }

  std::shared_ptr<Classifier> model;
  TensorMap gradients;  ///< of the first step
  ClassificationMetrics metrics{torch::kCPU};

 private:
  std::unique_ptr<Loader> loader_;
  std::int64_t batch_;
  StatisticsSync statistics_;
  std::unique_ptr<GradientReducer> reducer_;
  std::unique_ptr<Optimizer> optimizer_;
  GradientScaler scaler_{false, torch::kCPU};
  std::unique_ptr<TrainStep> step_;
};

/// What a training left.
struct Outcome {
  TensorMap gradients;
  TensorMap state;
  MetricValues metrics;
};

/// Trains with so many ranks and returns what rank 0 has, after checking that all have the same.
Outcome train(const Recipe& recipe, const ImageSet& set, int size, std::int64_t steps) {
  std::vector<Outcome> outcomes(static_cast<std::size_t>(size));
  run_ranks(size, [&](const std::shared_ptr<Communicator>& ranks) {
    Rank rank(recipe, set, Order::shuffled, ranks);
    rank.train(steps);
    const auto metrics = rank.metrics.collect(*ranks);
    outcomes.at(static_cast<std::size_t>(ranks->rank())) = {rank.gradients,
                                                            module_state(*rank.model), metrics};
  });
  for (const auto& outcome : outcomes) {
    for (const auto& [name, gradient] : outcomes[0].gradients) {
      EXPECT_TRUE(gradient.equal(outcome.gradients.at(name))) << name;
    }
    EXPECT_EQ(outcome.metrics.loss, outcomes[0].metrics.loss);
    EXPECT_EQ(outcome.metrics.count, outcomes[0].metrics.count);
  }
  return outcomes.front();
}

double worst_error(const TensorMap& actual, const TensorMap& expected) {
  double worst = 0.0;
  for (const auto& [name, tensor] : expected) {
    const auto error = relative_error(actual.at(name), tensor);
    if (error > worst) worst = error;
  }
  return worst;
}

void expect_same_training(const Recipe& recipe, const ImageSet& set, int size, std::int64_t steps) {
  const auto one = train(recipe, set, 1, steps);
  const auto many = train(recipe, set, size, steps);
  EXPECT_EQ(many.gradients.size(), one.gradients.size());
  const auto gradients = worst_error(many.gradients, one.gradients);
  const auto weights = worst_error(many.state, one.state);
  EXPECT_LE(gradients, kGradientTolerance);
  EXPECT_LE(weights, kWeightTolerance);
  EXPECT_NEAR(many.metrics.loss, one.metrics.loss, 1e-9);
  EXPECT_EQ(many.metrics.count, one.metrics.count);
  testing::Test::RecordProperty("gradients", fmt::format("{:.2g}", gradients));
  testing::Test::RecordProperty("weights", fmt::format("{:.2g}", weights));
}

TEST(Ranks, TrainAsOneProcessDoes) {
  // 23 images in batches of 8, 8, 7: shares of 4 and 4, then 4 and 3; 20 steps.
  expect_same_training({.model = narrow_xception()}, random_images(23, 40), 2, 20);
}

TEST(Ranks, TrainAsOneProcessDoesWithThree) {
  expect_same_training({.model = narrow_xception()}, random_images(23, 40), 3, 6);
}

TEST(Ranks, ARankWithoutImagesGoesAlong) {
  // Batches of 8 and 3: the second leaves two of three ranks without a pair of images.
  expect_same_training({.model = narrow_xception()}, random_images(11, 40), 3, 6);
}

TEST(Ranks, BatchesInPartsAddUp) {
  // BatchNorm's statistics are those of a part: compare without them, with each rank's own.
  Recipe whole{.model = narrow_xception(), .sync = false};
  Recipe parts = whole;
  parts.accumulate = 2;
  const auto set = random_images(16, 40);
  // Two ranks, one part each: four images at a time, as one process in two parts has them.
  Recipe process = whole;
  process.accumulate = 2;
  const auto one = train(process, set, 1, 1);
  const auto two = train(whole, set, 2, 1);
  EXPECT_LE(worst_error(two.gradients, one.gradients), kGradientTolerance);
  // And four parts of two images.
  process.accumulate = 4;
  const auto one_in_four = train(process, set, 1, 1);
  const auto two_in_two = train(parts, set, 2, 1);
  EXPECT_LE(worst_error(two_in_two.gradients, one_in_four.gradients), kGradientTolerance);
}

TEST(Ranks, AnAuxiliaryHeadThatIsOffIsHandled) {
  Recipe recipe{.side = 75, .batch = 4};
  recipe.model.name = "inception_v3";
  recipe.model.dropout = 0.0;
  recipe.model.aux_weight = 0.0;
  recipe.bucket_bytes = 25 << 20;
  const auto set = random_images(4, 75);
  const auto one = train(recipe, set, 1, 2);
  const auto two = train(recipe, set, 2, 2);
  EXPECT_EQ(one.gradients.size(), two.gradients.size());
  EXPECT_FALSE(two.gradients.contains("AuxLogits.fc.weight"));
  EXPECT_LE(worst_error(two.gradients, one.gradients), kGradientTolerance);
}

TEST(Ranks, EqualPythonsDistributedDataParallel) {
  const auto python = run_python("export_ddp.py");
  const ImageSet set{python.at("images"), python.at("labels")};
  const auto steps = python.at("loss").size(0);
  const Recipe recipe{
      .model = narrow_xception(), .batch = set.labels.size(0) / steps, .sync = false};
  run_ranks(2, [&](const std::shared_ptr<Communicator>& ranks) {
    Rank rank(recipe, set, Order::ascending, ranks, below(python, "start/"));
    rank.train(steps);
    const auto metrics = rank.metrics.collect(*ranks);
    if (!ranks->is_root()) return;
    EXPECT_LE(worst_error(rank.gradients, below(python, "grad/")), kGradientTolerance);
    // Rank 0's running statistics among them.
    EXPECT_LE(worst_error(module_state(*rank.model), below(python, "after/")), kWeightTolerance);
    EXPECT_NEAR(metrics.loss, python.at("loss").mean().item<double>(), 1e-10);
  });
}

TEST(Ranks, SharedEvaluationCountsEachImageOnce) {
  for (const std::int64_t n : {1, 2, 7, 22, 31}) {
    const auto set = random_images(n, 71);
    std::optional<Evaluation> alone;
    for (const int size : {1, 2, 3}) {
      std::mutex mutex;
      run_ranks(size, [&](const std::shared_ptr<Communicator>& ranks) {
        const Recipe recipe{.model = narrow_xception()};
        Rank rank(recipe, set, Order::ascending, ranks);
        const auto loader = loader_of(set, Order::ascending, 71);
        const auto evaluation =
            evaluate(*rank.model, *loader, {.batch_size = 3, .ranks = ranks.get()});
        const std::lock_guard lock(mutex);
        ASSERT_TRUE(evaluation);
        if (!alone) alone = evaluation;
        EXPECT_EQ(evaluation->metrics.count, n);
        EXPECT_EQ(evaluation->metrics.accuracy, alone->metrics.accuracy);
        EXPECT_NEAR(evaluation->metrics.loss, alone->metrics.loss, 1e-13 * alone->metrics.loss);
        EXPECT_TRUE(evaluation->indices.equal(torch::arange(n)));
        EXPECT_TRUE(evaluation->labels.equal(set.labels));
        // Bit for bit: the same images are computed together.
        EXPECT_TRUE(evaluation->probabilities.equal(alone->probabilities));
      });
    }
  }
}

}  // namespace
}  // namespace xception
