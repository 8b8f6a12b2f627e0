// What fine-tuning does: a part is frozen, parameters are updated in groups, classes are weighted.
#include <gmock/gmock.h>

#include "data/file_testing.h"
#include "xception/core/error.h"
#include "xception/core/name_pattern.h"
#include "xception/models/freeze.h"
#include "xception/models/registry.h"
#include "xception/optim/optimizer.h"
#include "xception/train/checkpoint.h"
#include "xception/train/experiment.h"
#include "xception/train/load_run.h"
#include "xception/train/loss.h"
#include "xception/train/model_card.h"
#include "xception/train/run_config.h"
#include "xception/train/train_step.h"
#include "xception/train/training.h"

namespace xception {
namespace {

using Settings = std::vector<std::string>;

/// A small network in training on random images.
struct SmallFineTuning {
  explicit SmallFineTuning(const Settings& more) : config(config_of(more)) {
    resolve_model(config);
    apply_runtime_settings(config);
    at::manual_seed(3);
    const ImageSet set{
        .images = torch::randint(0, 256, {24, 3, 71, 71}).to(torch::kUInt8),
        .labels = (torch::arange(24) % 12).div(5, "floor")};  // 0 and 1 five of 12, 2 two of 12
    experiment = std::make_unique<Experiment>(
        config, Dataset{.images = in_memory(set), .class_names = {"a", "b", "c"}}, torch::kCPU);
    training = std::make_unique<Training>(*experiment, Communicator::alone());
    training->loader->start_epoch(0);
    training->step->start_epoch({0.01, 0.01, 0.01}, 0, 0, 8);
    training->model->train();
  }

  static RunConfig config_of(const Settings& more) {
    Settings all = {"data.image_size=71",       "data.validation_size=0", "train.batch_size=8",
                    "model.width=0.05",         "model.middle_blocks=1",  "optimizer.name=sgd",
                    "optimizer.weight_decay=0", "optimizer.lr=0.01"};
    for (const auto& text : more) {
      const auto key = text.substr(0, text.find('=') + 1);
      std::erase_if(all, [&](const auto& other) { return other.starts_with(key); });
      all.push_back(text);
    }
    return load_config({}, all);
  }

  /// Three steps; the model's tensors before and after.
  std::pair<TensorMap, TensorMap> train() {
    auto before = copies();
    for (int i = 0; i < 3; ++i) training->step->run(8);
    return {before, copies()};
  }

  TensorMap copies() const {
    TensorMap tensors = model_tensors(*training->model);
    for (auto& [name, tensor] : tensors) tensor = tensor.detach().clone();
    return tensors;
  }

  RunConfig config;
  std::unique_ptr<Experiment> experiment;
  std::unique_ptr<Training> training;
};

std::string finetune_error(const Settings& more) {
  try {
    SmallFineTuning small(more);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(NamePattern, MeansPartsAndAllBelowThem) {
  for (const auto* pattern : {"block3", "block3.rep", "block?", "*.weight", "block3.*.weight", "*",
                              "block[23]", "block3.rep.0.conv1.weight"}) {
    EXPECT_TRUE(means_name(pattern, "block3.rep.0.conv1.weight")) << pattern;
  }
  for (const auto* pattern : {"block", "lock3", "rep", "block3.", "block3.rep.1", "weight", ""}) {
    EXPECT_FALSE(means_name(pattern, "block3.rep.0.conv1.weight")) << pattern;
  }
}

TEST(ClassCount, IsTheDataSetsUnlessItIsGiven) {
  EXPECT_EQ(SmallFineTuning({}).experiment->config().model.num_classes, 3);
  EXPECT_NE(finetune_error({"model.num_classes=10"}).find("has 3 classes"), std::string::npos);
}

class Freezing : public testing::TestWithParam<std::string> {};

TEST_P(Freezing, KeepsWeightsAndStatistics) {
  const auto kernels = "train.kernels=" + GetParam();
  SmallFineTuning small({kernels, R"(train.freeze=["conv*","bn*","block*"])"});
  const auto [before, after] = small.train();
  for (const auto& [name, tensor] : before) {
    const bool trained = name.starts_with("fc.");
    EXPECT_EQ(torch::equal(tensor, after.at(name)), !trained) << name;
  }
}

TEST_P(Freezing, LeavesTheRestAsItWasWithFrozenStatistics) {
  // Of a block, everything but its BatchNorms: their statistics go on.
  SmallFineTuning small({"train.kernels=" + GetParam(), "train.freeze=*.weight"});
  const auto [before, after] = small.train();
  EXPECT_FALSE(torch::equal(before.at("bn1.running_mean"), after.at("bn1.running_mean")));
  EXPECT_TRUE(torch::equal(before.at("bn1.weight"), after.at("bn1.weight")));
  EXPECT_FALSE(torch::equal(before.at("bn1.bias"), after.at("bn1.bias")));
}

INSTANTIATE_TEST_SUITE_P(Kernels, Freezing, testing::Values("fused", "reference"));

TEST(FreezingKernels, FusedAndReferenceLearnTheSame) {
  const auto learned = [](const std::string& kernels) {
    return SmallFineTuning({"train.kernels=" + kernels, "train.precision=fp64",
                            R"(augment.train=[{"name":"resize"}])",
                            R"(train.freeze=["conv1","bn1","block1","block2","block3"])"})
        .train()
        .second;
  };
  const auto fused = learned("fused");
  for (const auto& [name, tensor] : learned("reference")) {
    EXPECT_TRUE(torch::allclose(tensor, fused.at(name), 1e-7, 1e-9)) << name;
  }
}

TEST(FreezingErrors, NameWhatIsWrong) {
  EXPECT_EQ(finetune_error({"train.freeze=blok1"})
                .find("[config] train.freeze: found \"blok1\", which is the name of no parameter"),
            0U);
  EXPECT_NE(finetune_error({"train.freeze=blok1"}).find("such as \"block1\""), std::string::npos);
  EXPECT_NE(finetune_error({"train.freeze=*"}).find("leaves no parameter to train"),
            std::string::npos);
}

TEST(OptimizerGroups, ScaleTheLearningRate) {
  for (const std::string rule : {"sgd", "adam", "adamw"}) {
    const auto updates = [&](const std::string& groups) {
      SmallFineTuning small({"optimizer.name=" + rule, "optimizer.groups=" + groups});
      const auto before = small.copies();
      small.training->step->run(8);
      TensorMap moved;
      for (const auto& [name, tensor] : small.copies()) moved[name] = tensor - before.at(name);
      return moved;
    };
    const auto plain = updates("[]");
    const auto grouped = updates(
        R"([{"name":"block1","lr_factor":2},{"name":"block*","lr_factor":0.5},{"name":"fc","lr_factor":0}])");
    for (const auto& [name, update] : plain) {
      if (name.find("running") != std::string::npos || name.find("tracked") != std::string::npos) {
        continue;
      }
      const double factor = name.starts_with("block1.") ? 2.0
                            : name.starts_with("block") ? 0.5
                            : name.starts_with("fc")    ? 0.0
                                                        : 1.0;
      // Float32 weights, whose last digits an update loses.
      EXPECT_TRUE(torch::allclose(grouped.at(name), update * factor, 1e-3, 2e-7)) << rule << name;
    }
  }
}

TEST(OptimizerGroups, KeepTheStateOfASingleOptimizer) {
  const auto state_of = [](const std::string& groups) {
    SmallFineTuning small({"optimizer.name=adam", "optimizer.groups=" + groups});
    small.train();
    return small.training->optimizer->state();
  };
  const auto plain = state_of("[]");
  const auto grouped = state_of(R"([{"name":"fc","weight_decay":0.1}])");
  ASSERT_EQ(plain.tensors.size(), grouped.tensors.size());
  for (const auto& [name, tensor] : plain.tensors) EXPECT_TRUE(grouped.tensors.contains(name));
  EXPECT_TRUE(torch::equal(grouped.tensors.at("step"), torch::tensor(3.0F)));
  SmallFineTuning other(
      {"optimizer.name=adam", R"(optimizer.groups=[{"name":"fc","weight_decay":0.1}])"});
  other.training->optimizer->load_state(grouped);
  for (const auto& [name, tensor] : other.training->optimizer->state().tensors) {
    EXPECT_TRUE(torch::equal(tensor, grouped.tensors.at(name))) << name;
  }
}

TEST(OptimizerGroups, AreToldWhatIsWrong) {
  EXPECT_NE(
      finetune_error({R"(optimizer.groups=[{"name":"blok*"}])"}).find("\"blok*\", which means no"),
      std::string::npos);
  EXPECT_NE(finetune_error({R"(optimizer.groups=[{"name":"fc","lr":1}])"}).find("lr: unknown key"),
            std::string::npos);
}

TEST(ClassWeights, BalanceWhatTheSplitHolds) {
  SmallFineTuning small({"train.class_weights=balanced"});
  const auto counts = small.experiment->class_counts();
  EXPECT_TRUE(torch::equal(counts, torch::tensor({10, 10, 4})));
  // By hand: -log softmax of each image's class times 24 / (3 n).
  const auto logits = torch::randn({6, 3}, torch::kFloat64);
  const auto targets = torch::tensor({0, 1, 2, 2, 1, 0});
  const auto weights = torch::tensor({0.8, 0.8, 2.0}, torch::kFloat64);
  const auto each = -logits.log_softmax(1).gather(1, targets.unsqueeze(1)).squeeze(1);
  const auto expected = (each * weights.index_select(0, targets)).sum();
  EXPECT_TRUE(torch::allclose(summed_cross_entropy(logits, targets, 0.0, weights), expected));
  Loss loss{.class_weights = weights};
  const auto value = loss({.logits = logits, .aux = {}}, targets);
  EXPECT_TRUE(torch::allclose(value.total, expected));
  EXPECT_TRUE(torch::allclose(value.main, each.sum()));
}

TEST(ClassWeights, ChangeWhatIsLearned) {
  const auto plain = SmallFineTuning({}).train().second;
  const auto weighted = SmallFineTuning({"train.class_weights=balanced"}).train().second;
  EXPECT_FALSE(torch::equal(plain.at("fc.bias"), weighted.at("fc.bias")));
}

/// A small file may say that a network belongs to it that would fill the machine.
TEST(WeightsOfAFile, ThatClaimAHugeNetworkAreRefusedBeforeItIsBuilt) {
  auto config = load_config({}, {"model.width=8", "model.middle_blocks=64"});
  resolve_model(config);
  const TemporaryFolder folder;
  const auto file = folder.path / "a.safetensors";
  (void)save_safetensors(file, {{"fc.bias", torch::zeros({10})}}, model_card(config, {}));
  const auto line =
      xception::error_of([&] { (void)load_weights(file, {}, torch::kCPU); }, Error::Kind::input);
  EXPECT_THAT(line, testing::HasSubstr(file.string() + ": its config describes a larger network"));
  // Afterwards memory is to be had again.
  EXPECT_EQ(torch::ones({1 << 20}).sum().item<float>(), 1 << 20);
}

}  // namespace
}  // namespace xception
