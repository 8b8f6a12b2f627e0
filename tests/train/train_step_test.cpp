// Without it LibTorch's header refuses to show an operation's inputs (see complexity.cpp).
#ifndef NDEBUG
#define NDEBUG
#endif

#include "xception/train/train_step.h"

#include <ATen/record_function.h>
#include <gtest/gtest.h>
#include <torch/nn/functional/loss.h>
#include <torch/nn/modules/linear.h>
#include <torch/optim/adam.h>

#include <cmath>
#include <set>
#include <string_view>
#include <utility>

#include "train/fake_graph.h"
#include "xception/models/registry.h"
#include "xception/models/xception.h"
#include "xception/train/evaluator.h"
#include "xception/train/run_config.h"

namespace xception {
namespace {

constexpr std::int64_t kStepImages = 22;
constexpr std::int64_t kStepClasses = 3;

/// A linear classifier, with an auxiliary head of half its logits while training.
class LinearClassifier : public Classifier {
 public:
  LinearClassifier() {
    linear_ = register_module("linear", torch::nn::Linear(3 * 4 * 4, kStepClasses));
  }

 private:
  ClassifierOutput compute(const torch::Tensor& images) override {
    const auto logits = linear_->forward(images.flatten(1));
    ClassifierOutput output{.logits = logits, .aux = {}};
    if (is_training()) output.aux.push_back(logits * 0.5);
    return output;
  }

  torch::nn::Linear linear_{nullptr};
};

/// Remembers what images it got.
class Witness : public Classifier {
 public:
  torch::Tensor seen;

 private:
  ClassifierOutput compute(const torch::Tensor& images) override {
    seen = images;
    return {};
  }
};

TEST(Precision, KnowsWhatANetworkGets) {
  for (const auto* name : {"fp32", "fp16", "bf16", "fp64"}) {
    const auto precision = parse_precision(name);
    for (const auto weights : {torch::kFloat32, torch::kFloat64}) {
      Witness model;
      const Autocast autocast(precision, torch::kCPU);
      const auto images = torch::rand({1, 3, 2, 2}, precision.images(weights));
      model.forward(images);
      EXPECT_TRUE(model.seen.is_same(images)) << name << " is written, and then copied";
      model.forward(torch::rand({1, 3, 2, 2}, weights));
      EXPECT_EQ(model.seen.scalar_type(), images.scalar_type()) << name;
    }
  }
}

/// Everything that a step needs, over random images.
struct Fixture {
  explicit Fixture(const Precision& precision, StepOptions options = {}, bool low = false,
                   const std::string& rule = "adam", StepHooks hooks = {}) {
    at::manual_seed(0);
    set.images = torch::randint(0, 256, {kStepImages, 3, 4, 4}).to(torch::kUInt8);
    set.labels = torch::randint(0, kStepClasses, {kStepImages}, torch::kInt64);
    model = std::make_shared<LinearClassifier>();
    model->to(precision.parameters);
    std::vector<std::int64_t> indices(kStepImages);
    for (std::int64_t i = 0; i < kStepImages; ++i) indices[static_cast<std::size_t>(i)] = i;
    config.seed = 1;
    config.data.image_size = 4;
    config.augment.train = {{{"name", "horizontal_flip"}}};
    config.optimizer.name = rule;
    config.optimizer.lr = 1e-2;
    dtype = precision.images(precision.parameters);
    loader = loader_of(indices, Order::shuffled);
    optimizer = build_optimizer(config.optimizer, named_parameters(*model));
    scaler = std::make_unique<GradientScaler>(precision.scaled, torch::kCPU);
    options.precision = precision;
    StepParts parts{*model, *loader, *optimizer, *scaler, metrics};
    parts.hooks = std::move(hooks);
    if (low) {
      low_precision = std::make_unique<LowPrecisionWeights>(*model, precision.autocast_dtype);
      parts.low_precision = low_precision.get();
      std::vector<torch::Tensor> copies;
      for (const auto& weight : model->parameters()) copies.push_back(low_precision->of(weight));
      optimizer->use_copies(copies);
    }
    step = std::make_unique<TrainStep>(parts, options, torch::kCPU);
  }

  /// A loader of some of the images.
  [[nodiscard]] std::unique_ptr<Loader> loader_of(const std::vector<std::int64_t>& indices,
                                                  Order order) const {
    return make_loader(
        {.images = in_memory(set)}, config,
        {.indices = indices, .order = order, .transforms = TransformList::train, .dtype = dtype},
        torch::kCPU);
  }

  /// Whole epochs of batches of 5, the last of 2.
  void train(std::int64_t epochs) {
    const std::vector<double> rates = {1e-2, 9e-3, 8e-3, 7e-3, 6e-3};
    for (std::int64_t epoch = 0; epoch < epochs; ++epoch) {
      loader->start_epoch(epoch);
      step->start_epoch(rates, epoch * 5, 0, 5);
      for (const std::int64_t size : {5, 5, 5, 5, 2}) step->run(size);
    }
  }

  ImageSet set;
  RunConfig config;
  torch::ScalarType dtype = torch::kFloat32;
  std::shared_ptr<LinearClassifier> model;
  std::unique_ptr<Loader> loader;
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<GradientScaler> scaler;
  ClassificationMetrics metrics{torch::kCPU};
  std::unique_ptr<LowPrecisionWeights> low_precision;
  std::unique_ptr<TrainStep> step;
};

/// The same epochs written out with LibTorch's own optimizer and mean loss.
using OnBatch = std::function<void(Input& batch)>;

std::vector<torch::Tensor> train_by_hand(
    Fixture& fixture, std::int64_t epochs, double aux_weight,
    const OnBatch& on_batch = [](Input&) {}, const std::function<void()>& after_update = [] {}) {
  torch::optim::Adam adam(fixture.model->parameters(), torch::optim::AdamOptions(1e-2));
  const std::vector<double> rates = {1e-2, 9e-3, 8e-3, 7e-3, 6e-3};
  for (std::int64_t epoch = 0; epoch < epochs; ++epoch) {
    fixture.loader->start_epoch(epoch);
    for (std::int64_t step = 0; step < 5; ++step) {
      auto batch = fixture.loader->next(std::min<std::int64_t>(kStepImages - step * 5, 5));
      static_cast<torch::optim::AdamOptions&>(adam.param_groups()[0].options())
          .lr(rates[static_cast<std::size_t>(step)]);
      adam.zero_grad();
      on_batch(batch);
      const auto output = fixture.model->forward(batch.images);
      auto loss = torch::nn::functional::cross_entropy(output.logits, batch.targets);
      loss =
          loss + aux_weight * torch::nn::functional::cross_entropy(output.aux.at(0), batch.targets);
      loss.backward();
      adam.step();
      after_update();
    }
  }
  return fixture.model->parameters();
}

double largest_difference(const std::vector<torch::Tensor>& a,
                          const std::vector<torch::Tensor>& b) {
  double largest = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, (a[i] - b[i]).abs().max().item<double>());
  }
  return largest;
}

TEST(TrainStep, HooksMixBatchesAndAverageWeights) {
  // Mixup with a fixed share, and an exponential moving average of the weights.
  const OnBatch mix = [](Input& batch) {
    batch.images = 0.7 * batch.images + 0.3 * batch.images.flip(0);
    const auto shares = at::one_hot(batch.targets, kStepClasses).to(torch::kFloat64);
    batch.targets = 0.7 * shares + 0.3 * shares.flip(0);
  };
  const auto average = [](const Classifier& model, torch::Tensor& into) {
    const torch::NoGradGuard no_grad;
    const auto weight = model.parameters()[0];
    into = into.defined() ? into.lerp(weight, 0.1) : weight.clone();
  };
  torch::Tensor of_step;
  torch::Tensor by_hand;
  Fixture* running = nullptr;
  const auto options = StepOptions{.loss = {.aux_weight = 0.4}};
  Fixture fixture(
      parse_precision("fp64"), options, false, "adam",
      {.on_batch = {mix}, .after_update = {[&] { average(*running->model, of_step); }}});
  running = &fixture;
  fixture.train(2);
  Fixture other(parse_precision("fp64"), options);
  const auto expected = train_by_hand(other, 2, 0.4, mix, [&] { average(*other.model, by_hand); });
  EXPECT_LT(largest_difference(fixture.model->parameters(), expected), 1e-12);
  EXPECT_LT((of_step - by_hand).abs().max().item<double>(), 1e-12);
  EXPECT_EQ(fixture.metrics.value().count, 2 * kStepImages);
}

TEST(Loss, OfSharesAndOfClassNumbersAgree) {
  at::manual_seed(3);
  const auto logits = torch::randn({5, kStepClasses});
  const auto classes = torch::tensor({2, 0, 1, 1, 0});
  const auto shares = at::one_hot(classes, kStepClasses);
  const ClassifierOutput output{logits, {logits * 0.5}};
  for (const double smoothing : {0.0, 0.1}) {
    const Loss loss{.label_smoothing = smoothing, .aux_weight = 0.3};
    EXPECT_TRUE(torch::allclose(loss(output, classes).total, loss(output, shares).total));
    EXPECT_TRUE(torch::allclose(loss(output, classes).main, loss(output, shares).main));
  }
  EXPECT_TRUE(target_classes(shares).equal(classes));
}

TEST(Loss, CountsEachAuxiliaryHead) {
  at::manual_seed(3);
  const auto logits = torch::randn({3, 5, kStepClasses});
  const auto classes = torch::tensor({2, 0, 1, 1, 0});
  const auto entropy = [&](std::int64_t i) {
    return torch::nn::functional::cross_entropy(
        logits[i], classes,
        torch::nn::functional::CrossEntropyFuncOptions().reduction(torch::kSum));
  };
  const Loss loss{.aux_weight = 0.3};
  const auto value = loss({.logits = logits[0], .aux = {logits[1], logits[2]}}, classes);
  EXPECT_TRUE(torch::allclose(value.main, entropy(0)));
  EXPECT_TRUE(torch::allclose(value.total, entropy(0) + 0.3 * (entropy(1) + entropy(2))));
}

TEST(TrainStep, EqualsTheLoopWrittenOut) {
  const StepOptions options{.loss = {.aux_weight = 0.4}};
  Fixture ours(parse_precision("fp64"), options);
  Fixture theirs(parse_precision("fp64"), options);
  ours.train(3);
  const auto expected = train_by_hand(theirs, 3, 0.4);
  EXPECT_LE(largest_difference(ours.model->parameters(), expected), 1e-12);
}

TEST(TrainStep, PartsOfABatchGiveTheSameUpdate) {
  Fixture whole(parse_precision("fp64"));
  Fixture parts(parse_precision("fp64"), {.accumulate = 2});
  whole.train(2);
  parts.train(2);
  EXPECT_LE(largest_difference(whole.model->parameters(), parts.model->parameters()), 1e-12);
  EXPECT_NEAR(whole.metrics.value().loss, parts.metrics.value().loss, 1e-12);
}

/// Notes what it is told.
struct Recorder : StepProbe {
  void mark(StepPhase ended) override { phases.push_back(ended); }
  std::vector<StepPhase> phases;
};

TEST(TrainStep, TellsAProbeItsPhasesAndDoesTheSame) {
  Fixture plain(parse_precision("fp32"), {.accumulate = 2});
  Fixture watched(parse_precision("fp32"), {.accumulate = 2});
  Recorder recorder;
  for (auto* fixture : {&plain, &watched}) {
    fixture->loader->start_epoch(0);
    fixture->step->start_epoch({1e-2, 1e-2}, 0, 0, 5);
    for (int i = 0; i < 2; ++i) fixture->step->run(5, fixture == &watched ? &recorder : nullptr);
  }
  for (std::size_t i = 0; i < plain.model->parameters().size(); ++i) {
    EXPECT_TRUE(plain.model->parameters()[i].equal(watched.model->parameters()[i]));
  }
  std::vector<StepPhase> expected;
  for (int step = 0; step < 2; ++step) {
    expected.push_back(StepPhase::start);
    for (int part = 0; part < 2; ++part) {
      for (const auto phase : {StepPhase::data, StepPhase::forward, StepPhase::loss,
                               StepPhase::backward, StepPhase::metrics}) {
        expected.push_back(phase);
      }
    }
    expected.push_back(StepPhase::optimizer);
  }
  EXPECT_EQ(recorder.phases, expected);
}

TEST(TrainStep, MetricsAreMeansOverImages) {
  Fixture fixture(parse_precision("fp64"));
  fixture.train(1);
  const auto values = fixture.metrics.value();
  EXPECT_EQ(values.count, kStepImages);
  EXPECT_GT(values.loss, 0.0);
  EXPECT_EQ(values.bad_step, -1);
}

TEST(TrainStep, PrecisionsFollowFloat32) {
  Fixture fp32(parse_precision("fp32"));
  fp32.train(2);
  for (const auto* name : {"bf16", "fp16"}) {
    Fixture narrow(parse_precision(name));
    narrow.train(2);
    EXPECT_EQ(narrow.model->parameters()[0].scalar_type(), torch::kFloat32) << name;
    EXPECT_NEAR(narrow.metrics.value().loss, fp32.metrics.value().loss, 0.02) << name;
    // Something was computed in the narrow type.
    EXPECT_NE(narrow.metrics.value().loss, fp32.metrics.value().loss) << name;
  }
}

TEST(TrainStep, WithLowPrecisionWeightsDoesAsAutocastDoes) {
  for (const auto* rule : {"adam", "adamw", "sgd"}) {
    for (const auto* name : {"bf16", "fp16"}) {
      SCOPED_TRACE(std::string(rule) + " " + name);
      const StepOptions options{.loss = {.aux_weight = 0.4}};
      Fixture plain(parse_precision(name), options, false, rule);
      Fixture low(parse_precision(name), options, true, rule);
      for (auto* fixture : {&plain, &low}) {
        fixture->train(3);
        {  // From outside: the next epoch sees it.
          const torch::NoGradGuard no_grad;
          fixture->model->parameters()[0].mul_(0.5);
        }
        fixture->train(2);
      }
      EXPECT_LE(largest_difference(plain.model->parameters(), low.model->parameters()), 1e-6);
      EXPECT_NEAR(low.metrics.value().loss, plain.metrics.value().loss, 1e-6);
      for (const auto& parameter : low.model->parameters()) {
        EXPECT_EQ(parameter.scalar_type(), torch::kFloat32);
        EXPECT_FALSE(parameter.grad().defined());
        EXPECT_TRUE(torch::equal(low.low_precision->of(parameter),
                                 parameter.to(low.low_precision->of(parameter).scalar_type())));
      }
    }
  }
}

TEST(TrainStep, WithLowPrecisionWeightsSkipsAStepThatOverflows) {
  Fixture fixture(parse_precision("fp16"), {}, true);
  fixture.loader->start_epoch(0);
  fixture.step->start_epoch({1e-2, 1e-2}, 0, 0, 5);
  const auto before = fixture.model->parameters()[0].clone();
  State state = fixture.scaler->state();
  state.tensors["scale"] = torch::full({1}, 1e30);  // gradients are infinite in float16
  fixture.scaler->load_state(state);
  fixture.step->run(5);
  EXPECT_TRUE(torch::equal(fixture.model->parameters()[0], before));
  EXPECT_FLOAT_EQ(fixture.scaler->state().tensors["scale"].item<float>(), 5e29F);
  fixture.scaler->load_state([&] {
    state.tensors["scale"] = torch::full({1}, 1024.0);
    return state;
  }());
  fixture.step->run(5);
  EXPECT_FALSE(torch::equal(fixture.model->parameters()[0], before));
}

TEST(TrainStep, NotesTheFirstStepWhoseLossIsNotFinite) {
  Fixture fixture(parse_precision("fp32"));
  {
    const torch::NoGradGuard no_grad;
    fixture.model->parameters()[0].fill_(std::nanf(""));
  }
  fixture.loader->start_epoch(2);
  fixture.step->start_epoch({1e-2, 1e-2}, 10, 0, 5);
  fixture.step->run(5);
  fixture.step->run(5);
  EXPECT_EQ(fixture.metrics.value().bad_step, 10);
}

/// The addresses from which index_select, the only operation that reads an epoch's tables, reads.
thread_local std::set<const void*> read_places;

TEST(TrainStep, ReadsAtTheSamePlacesInEveryEpoch) {
  Fixture fixture(parse_precision("fp32"), {.loss = {.aux_weight = 0.4}});
  const auto note = [](const at::RecordFunction& function) {
    if (std::string_view(function.name()) == "aten::index_select") {
      read_places.insert(function.inputs()[0].toTensor().const_data_ptr());
    }
    return std::unique_ptr<at::ObserverContext>();
  };
  std::set<const void*> first;
  for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
    fixture.loader->start_epoch(epoch);
    fixture.step->start_epoch({1e-2, 9e-3, 8e-3, 7e-3, 6e-3}, epoch * 5, 0, 5);
    read_places.clear();
    const auto handle = at::addThreadLocalCallback(
        at::RecordFunctionCallback(note).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
    fixture.step->run(5);
    at::removeCallback(handle);
    // Keeps memory that was freed from being given out at the same place by chance.
    static std::vector<torch::Tensor> occupied;
    for (int i = 0; i < 20; ++i) occupied.push_back(torch::zeros({kStepImages}, torch::kInt64));
    if (epoch == 0) first = read_places;
    EXPECT_EQ(read_places, first) << epoch;
  }
  EXPECT_GE(first.size(), 5U);  // rows, images, labels, indices, numbers drawn, rates
}

TEST(TrainStep, HasAGraphForEachBatchSize) {
  Fixture fixture(parse_precision("fp32"));
  int graphs = 0;
  std::vector<int> steps;  // of their graph
  fixture.step->use_graph([&](const torch::Device&) {
    ++graphs;
    return std::make_unique<FakeGraph>([&](const FakeGraph::Work& work, int step) {
      steps.push_back(step);
      work();
    });
  });
  const auto epoch = [&](std::int64_t batch, const std::vector<double>& rates) {
    fixture.loader->start_epoch(0);
    fixture.step->start_epoch(rates, 0, 0, batch);
    for (const std::int64_t size : {batch, batch, std::int64_t{2}}) fixture.step->run(size);
    const std::vector<int> taken = std::exchange(steps, {});
    return taken;
  };
  EXPECT_EQ(epoch(5, {0.1, 0.1, 0.1}), (std::vector<int>{1, 2}));
  EXPECT_EQ(epoch(5, {0.2, 0.2, 0.2}), (std::vector<int>{3, 4}));
  EXPECT_EQ(epoch(4, {0.2, 0.2, 0.2}), (std::vector<int>{1, 2}));              // another size
  EXPECT_EQ(epoch(4, std::vector<double>(4, 0.2)), (std::vector<int>{1, 2}));  // rates elsewhere
  EXPECT_TRUE(fixture.step->graph()->is_recorded());
}

/// A loader that works on the host.
class HostLoader : public Loader {
 public:
  explicit HostLoader(Loader& loader) : loader_(loader) {}
  [[nodiscard]] std::int64_t size() const override { return loader_.size(); }
  void start_epoch(std::int64_t epoch) override { loader_.start_epoch(epoch); }
  [[nodiscard]] std::int64_t image_size() const override { return loader_.image_size(); }
  void seek(std::int64_t place) override { loader_.seek(place); }
  Input read(std::int64_t offset, std::int64_t count) override {
    return loader_.read(offset, count);
  }
  void advance(std::int64_t count) override { loader_.advance(count); }
  [[nodiscard]] bool recordable() const override { return false; }

 private:
  Loader& loader_;
};

/// Its images have another size in each epoch.
class GrowingLoader : public HostLoader {
 public:
  using HostLoader::HostLoader;
  std::int64_t side = 4;
  [[nodiscard]] std::int64_t image_size() const override { return side; }
  [[nodiscard]] bool recordable() const override { return true; }
};

TEST(TrainStep, HasAGraphForEachImageSize) {
  Fixture fixture(parse_precision("fp32"));
  GrowingLoader loader(*fixture.loader);
  TrainStep step({*fixture.model, loader, *fixture.optimizer, *fixture.scaler, fixture.metrics}, {},
                 torch::kCPU);
  std::vector<int> steps;  // of their graph
  step.use_graph([&](const torch::Device&) {
    return std::make_unique<FakeGraph>([&](const FakeGraph::Work& work, int number) {
      steps.push_back(number);
      work();
    });
  });
  for (const std::int64_t side : {4, 4, 8, 8}) {
    loader.side = side;
    loader.start_epoch(0);
    step.start_epoch({0.1, 0.1}, 0, 0, 5);
    step.run(5);
  }
  EXPECT_EQ(steps, (std::vector<int>{1, 2, 1, 2}));
}

TEST(TrainStep, RecordsNoLoaderThatWorksOnTheHost) {
  Fixture fixture(parse_precision("fp32"));
  HostLoader loader(*fixture.loader);
  TrainStep step({*fixture.model, loader, *fixture.optimizer, *fixture.scaler, fixture.metrics}, {},
                 torch::kCPU);
  step.use_graph([](const torch::Device&) -> std::unique_ptr<StepGraph> {
    throw std::logic_error("nothing is to be recorded");
  });
  loader.start_epoch(0);
  step.start_epoch({0.1}, 0, 0, 5);
  step.run(5);
  EXPECT_EQ(step.graph(), nullptr);
}

TEST(Autocast, NeitherLeaksNorKeepsStaleWeights) {
  const auto weight = torch::ones({4, 4}).requires_grad_();
  const auto input = torch::ones({1, 4});
  const auto run = [&] {
    const Autocast autocast(parse_precision("bf16"), torch::kCPU);
    return input.matmul(weight).sum();
  };
  EXPECT_EQ(run().item<float>(), 16.0F);
  {
    const torch::NoGradGuard no_grad;
    weight.mul_(2);
  }
  // A cached cast of the old weight would give 16 again.
  EXPECT_EQ(run().item<float>(), 32.0F);
  EXPECT_FALSE(at::autocast::is_autocast_enabled(torch::kCPU));
}

TEST(Evaluate, CountsEachImageOnceWhateverTheBatch) {
  Fixture fixture(parse_precision("fp64"));
  const auto loader = fixture.loader_of({0, 3, 5, 7, 9, 11, 20}, Order::ascending);
  fixture.model->train();
  const auto whole = evaluate(*fixture.model, *loader, {.batch_size = 100});
  const auto parts = evaluate(*fixture.model, *loader, {.batch_size = 3});
  ASSERT_TRUE(whole && parts);
  EXPECT_EQ(whole->metrics.count, 7);
  EXPECT_NEAR(whole->metrics.loss, parts->metrics.loss, 1e-12);
  EXPECT_EQ(whole->metrics.accuracy, parts->metrics.accuracy);
  EXPECT_TRUE(parts->indices.equal(torch::tensor({0, 3, 5, 7, 9, 11, 20})));
  EXPECT_TRUE(parts->labels.equal(fixture.set.labels.index_select(0, parts->indices)));
  EXPECT_TRUE(parts->probabilities.allclose(whole->probabilities));
  const auto correct = parts->probabilities.argmax(1).eq(parts->labels).to(torch::kFloat64).mean();
  EXPECT_EQ(correct.item<double>(), parts->metrics.accuracy);
  EXPECT_TRUE(fixture.model->is_training());
}

TEST(Evaluate, FoldsBatchNormsWhereAsked) {
  Fixture fixture(parse_precision("fp32"));
  ModelConfig config;
  config.own<WidthOptions>().width = 0.125;
  config.own<XceptionOptions>().middle_blocks = 0;
  config.num_classes = kStepClasses;
  const auto model = build_model(config);
  fixture.config.data.image_size = 71;
  fixture.config.augment.train = {{{"name", "resize"}}};
  const auto loader = fixture.loader_of({0, 3, 5}, Order::ascending);
  const auto norm = model->named_modules()["bn1"];
  std::vector<torch::Tensor> probabilities;
  for (const bool fold : {false, true}) {
    EvaluationOptions options{.batch_size = 2, .fold_batch_norm = fold};
    options.progress = [&](std::int64_t) { EXPECT_EQ(norm->as<BatchNorm2d>()->folded(), fold); };
    const auto evaluation = evaluate(*model, *loader, options);
    ASSERT_TRUE(evaluation);
    probabilities.push_back(evaluation->probabilities);
    EXPECT_FALSE(norm->as<BatchNorm2d>()->folded());
  }
  EXPECT_TRUE(probabilities[0].allclose(probabilities[1], 1e-4, 1e-6));
}

TEST(Evaluate, StopsWhenInterrupted) {
  Fixture fixture(parse_precision("fp32"));
  const auto evaluation = evaluate(*fixture.model, *fixture.loader,
                                   {.batch_size = 5, .interrupted = [] { return true; }});
  EXPECT_FALSE(evaluation);
}

}  // namespace
}  // namespace xception
