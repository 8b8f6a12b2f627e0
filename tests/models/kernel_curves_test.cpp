// Training with fused kernels against training with plain LibTorch operations: the loss over 200
// steps.

#include <gtest/gtest.h>
#include <torch/nn/functional/loss.h>
#include <torch/utils.h>

#include <cmath>
#include <vector>

#include "xception/models/kernel_choice.h"
#include "xception/models/registry.h"
#include "xception/models/xception.h"

namespace xception {
namespace {

ModelConfig small_xception_config() {
  ModelConfig config;
  config.own<WidthOptions>().width = 0.125;
  config.own<XceptionOptions>().middle_blocks = 1;
  return config;
}

/// Losses of SGD on a small problem, from a seed.
std::vector<double> loss_curve(Kernels kernels, std::uint64_t seed, int steps) {
  torch::manual_seed(99);
  const auto x = torch::randn({32, 3, 71, 71}).contiguous(torch::MemoryFormat::ChannelsLast);
  const auto labels = torch::randint(10, {32}, torch::kInt64);
  torch::manual_seed(seed);
  const auto model = build_model(small_xception_config());
  use_kernels(*model, kernels);
  std::vector<double> losses;
  for (int step = 0; step < steps; ++step) {
    model->zero_grad();
    const auto at = 8 * (step % 4);
    const auto logits = model->forward(x.narrow(0, at, 8)).logits;
    const auto loss = torch::nn::functional::cross_entropy(logits, labels.narrow(0, at, 8));
    loss.backward();
    losses.push_back(loss.item<double>());
    const torch::NoGradGuard no_grad;
    for (auto& parameter : model->parameters()) parameter.sub_(parameter.grad(), 0.02);
  }
  return losses;
}

TEST(FusedCurves, StayWithinTheSpreadOfSeeds) {
  constexpr int steps = 200;
  const auto reference = loss_curve(Kernels::reference, 1, steps);
  const auto other_seed = loss_curve(Kernels::reference, 2, steps);
  const auto fused = loss_curve(Kernels::fused, 1, steps);
  const auto distance = [&](const std::vector<double>& curve) {
    double sum = 0.0;
    for (std::size_t i = 0; i < curve.size(); ++i) sum += std::abs(curve[i] - reference[i]);
    return sum / steps;
  };
  EXPECT_LE(distance(fused), distance(other_seed));
  EXPECT_NEAR(fused.front(), reference.front(), 1e-4);
  EXPECT_LT(fused.back(), 0.5 * fused.front());
}

}  // namespace
}  // namespace xception
