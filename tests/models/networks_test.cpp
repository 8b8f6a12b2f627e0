// What is particular to ResNet, ResNet-9, GoogLeNet, VGG and AlexNet; that they compute what
// PyTorch's do is in parity_test.cpp.

#include <gtest/gtest.h>
#include <torch/nn/functional/loss.h>
#include <torch/optim/sgd.h>
#include <torch/utils.h>

#include <string>
#include <vector>

#include "xception/models/complexity.h"
#include "xception/models/googlenet.h"
#include "xception/models/registry.h"
#include "xception/models/stem.h"

namespace xception {
namespace {

ModelConfig network_config(const std::string& name, std::int64_t num_classes = 10) {
  ModelConfig config;
  config.name = name;
  config.num_classes = num_classes;
  return config;
}

/// What torchvision's documentation says of its published weights' networks, at 224 px.
struct Documented {
  std::string name;
  std::int64_t parameters;
  double giga_multiply_adds;  ///< to three decimals
};

TEST(Networks, CostWhatTorchvisionDocuments) {
  const std::vector<Documented> all = {
      {"resnet18", 11'689'512, 1.814},   {"resnet34", 21'797'672, 3.664},
      {"resnet50", 25'557'032, 4.089},   {"resnet101", 44'549'160, 7.801},
      {"resnet152", 60'192'808, 11.514}, {"vgg16", 138'357'544, 15.470},
      {"vgg16_bn", 138'365'992, 15.470}, {"alexnet", 61'100'840, 0.714},
      {"googlenet", 6'624'904, 1.498},
  };
  for (const auto& documented : all) {
    auto config = network_config(documented.name, 1000);
    config.aux_logits = false;
    const auto model = build_model(config);
    const auto cost = count_complexity(*model, 224);
    EXPECT_EQ(cost.parameters, documented.parameters) << documented.name;
    EXPECT_NEAR(static_cast<double>(cost.multiply_adds) * 1e-9, documented.giga_multiply_adds,
                0.0006)
        << documented.name;
  }
}

TEST(Networks, TakeTheirSmallestImagesAndOddOnes) {
  const torch::NoGradGuard no_grad;
  for (const std::string name : {"resnet18", "resnet50", "resnet9", "googlenet", "alexnet"}) {
    const auto config = network_config(name, 7);
    const auto model = build_model(config);
    const auto smallest = min_image_size(config);
    for (const auto size : {smallest, smallest + 1, smallest + 16}) {
      model->train();
      EXPECT_EQ(model->forward(torch::randn({4, 3, size, size})).logits.sizes(),
                (std::vector<std::int64_t>{4, 7}))
          << name << ", " << size << " px";
      model->eval();
      EXPECT_EQ(model->forward(torch::randn({1, 3, size, size + 3})).logits.sizes(),
                (std::vector<std::int64_t>{1, 7}));
    }
  }
}

TEST(ResNet, HasTheSameNamesWithASmallStem) {
  auto config = network_config("resnet18");
  const auto standard = build_model(config);
  config.own<StemOptions>().stem = "small";
  const auto small = build_model(config);
  const auto names = [](const Classifier& model) { return model.named_parameters().keys(); };
  EXPECT_EQ(names(*small), names(*standard));
  EXPECT_EQ(small->named_parameters()["conv1.weight"].sizes(),
            (std::vector<std::int64_t>{64, 3, 3, 3}));
  EXPECT_EQ(min_image_size(config), 5);
  // Eight times the pixels of the standard one's: no halving by a stride, none by pooling.
  EXPECT_GT(count_complexity(*small, 32).multiply_adds,
            14 * count_complexity(*standard, 32).multiply_adds);
}

TEST(GoogLeNet, RunsItsHeadsInTrainingWhenTheirLossCounts) {
  auto config = network_config("googlenet");
  config.aux_weight = 0.3;
  const auto model = build_model(config);
  const auto images = torch::randn({2, 3, 32, 32});
  const auto out = model->forward(images);
  ASSERT_EQ(out.aux.size(), 2U);
  for (const auto& head : out.aux) {
    EXPECT_EQ(head.sizes(), (std::vector<std::int64_t>{2, 10}));
  }
  // Dropout makes the heads' answers chance, unless it is 0.
  EXPECT_FALSE(torch::equal(model->forward(images).aux[0], out.aux[0]));
  config.own<GoogLeNetOptions>().aux_dropout = 0.0;
  const auto sure = build_model(config);
  EXPECT_TRUE(torch::equal(sure->forward(images).aux[1], sure->forward(images).aux[1]));
  model->eval();
  EXPECT_TRUE(model->forward(images).aux.empty());
}

TEST(GoogLeNet, LeavesIdleHeadsWithoutGradients) {
  auto config = network_config("googlenet");
  config.aux_weight = 0.0;
  const auto model = build_model(config);
  EXPECT_TRUE(model->forward(torch::randn({2, 3, 32, 32})).aux.empty());
  for (const auto& item : model->named_parameters()) {
    EXPECT_EQ(item.value().requires_grad(), !item.key().starts_with("aux")) << item.key();
  }
}

/// Images of four classes, each a pattern of its own under noise.
struct Patterns {
  torch::Tensor images, labels;
};

Patterns patterns(std::int64_t count, std::int64_t size) {
  const auto labels = torch::arange(count, torch::kInt64).remainder(4);
  const auto coarse = torch::randn({4, 3, 4, 4});
  const auto images = at::upsample_nearest2d(coarse, {size, size}).index_select(0, labels) +
                      0.5 * torch::randn({count, 3, size, size});
  return {images, labels};
}

/// Cross entropy before and after some steps of SGD.
std::pair<double, double> losses_of(const ModelConfig& config, std::int64_t size, int steps) {
  torch::manual_seed(0);
  const auto model = build_model(config);
  const auto data = patterns(16, size);
  torch::optim::SGD sgd(model->parameters(), torch::optim::SGDOptions(0.01).momentum(0.9));
  double first = 0.0;
  double last = 0.0;
  for (int step = 0; step < steps; ++step) {
    model->zero_grad();
    const auto loss =
        torch::nn::functional::cross_entropy(model->forward(data.images).logits, data.labels);
    loss.backward();
    sgd.step();
    last = loss.item<double>();
    if (step == 0) first = last;
  }
  return {first, last};
}

TEST(Networks, LearnInTwentySteps) {
  auto resnet18 = network_config("resnet18", 4);
  resnet18.own<StemOptions>().stem = "small";
  for (const auto& [config, size] :
       {std::pair{resnet18, 8}, std::pair{network_config("resnet9", 4), 8}}) {
    const auto [first, last] = losses_of(config, size, 20);
    EXPECT_GT(first, 1.0) << config.name;
    EXPECT_LT(last, 0.2 * first) << config.name;
  }
}

}  // namespace
}  // namespace xception
