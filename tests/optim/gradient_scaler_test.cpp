// The gradient scaler, and clipping.
#include "xception/optim/gradient_scaler.h"

#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "support/python.h"
#include "xception/optim/optimizer.h"

namespace xception {
namespace {

const std::vector<std::string> kNames = {"bias", "conv", "depthwise", "linear", "pointwise"};

/// What PyTorch computed, once for all tests.
const TensorMap& pytorch_scaler() {
  static const TensorMap tensors = run_python("export_optim.py");
  return tensors;
}

TEST(ClipGradients, EqualsPyTorch) {
  std::vector<torch::Tensor> clipped;
  for (const auto& name : kNames)
    clipped.push_back(pytorch_scaler().at("clip/grad/" + name).clone());
  const auto norm = clip_gradients(clipped, 1.5);
  EXPECT_NEAR(norm.item<double>(), pytorch_scaler().at("clip/norm").item<double>(), 1e-12);
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    EXPECT_LE(
        (clipped[i] - pytorch_scaler().at("clip/clipped/" + kNames[i])).abs().max().item<double>(),
        1e-14);
  }
  // Small gradients pass unchanged.
  std::vector<torch::Tensor> small = {torch::full({2}, 1e-3, torch::kFloat64)};
  clip_gradients(small, 1.5);
  EXPECT_TRUE(small[0].equal(torch::full({2}, 1e-3, torch::kFloat64)));
}

TEST(GradientScaler, FollowsPyTorchs) {
  const auto& bad = pytorch_scaler().at("scaler/bad");
  const auto& scales = pytorch_scaler().at("scaler/scale");
  const auto& weights = pytorch_scaler().at("scaler/weight");
  GradientScaler scaler(true, torch::kCPU);
  const auto weight = torch::ones({3}).requires_grad_();
  OptimizerConfig config;
  config.name = "sgd";
  std::set<std::string> given;
  read_keys({{"momentum", 0.0}}, "test", "optimizer", config.keys(), given);
  const auto optimizer = build_optimizer(config, {{"weight", weight}});
  const auto lr = torch::full({}, 0.1, torch::kFloat64);
  for (std::int64_t i = 0; i < bad.size(0); ++i) {
    weight.mutable_grad() = torch::Tensor();
    scaler.scale(weight.sum()).backward();
    if (bad[i].item<std::int64_t>() != 0) {
      weight.mutable_grad()[1] = std::numeric_limits<float>::infinity();
    }
    std::vector<torch::Tensor> grads = {weight.grad()};
    scaler.unscale(grads);
    optimizer->step(lr, scaler.found_inf());
    scaler.update();
    ASSERT_EQ(scaler.state().tensors.at("scale").item<double>(), scales[i].item<double>()) << i;
    ASSERT_NEAR(weight[0].item<double>(), weights[i].item<double>(),
                1e-5 * std::abs(weights[i].item<double>()) + 1e-5)
        << i;
  }
}

TEST(GradientScaler, OffPassesThrough) {
  GradientScaler scaler(false, torch::kCPU);
  const auto loss = torch::full({}, 3.0);
  EXPECT_TRUE(scaler.scale(loss).equal(loss));
  EXPECT_FALSE(scaler.found_inf().defined());
  EXPECT_TRUE(scaler.state().tensors.empty());
}

}  // namespace
}  // namespace xception
