// The fused operations against LibTorch's own in float64, on the same rounded inputs.

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>

#include "kernels/cases.h"
#include "kernels/comparisons.h"
#include "xception/core/error.h"

namespace xception {
namespace {

class FusedKernels : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override { torch::manual_seed(7); }
};

TEST_P(FusedKernels, BnActEqualsTorch) {
  expect_bn_act(GetParam());
}

TEST_P(FusedKernels, BnWithALargeMeanEqualsTorch) {
  expect_bn_with_a_large_mean(GetParam());
}

TEST_P(FusedKernels, DepthwiseEqualsTorch) {
  expect_depthwise(GetParam());
}

TEST_P(FusedKernels, BnDepthwiseEqualsTorch) {
  expect_bn_depthwise(GetParam());
}

TEST_P(FusedKernels, MaxPoolEqualsTorch) {
  expect_max_pool(GetParam());
}

TEST_P(FusedKernels, BnMaxPoolEqualsTorch) {
  expect_bn_max_pool(GetParam());
}

TEST_P(FusedKernels, AvgPoolEqualsTorch) {
  expect_avg_pool(GetParam());
}

TEST_P(FusedKernels, RepeatBitForBit) {
  expect_repeatable(GetParam());
}

INSTANTIATE_TEST_SUITE_P(Cpu, FusedKernels, testing::ValuesIn(cases(torch::kCPU)));

// ---- CPU only ----------------------------------------------------------------------------------

/// Finite differences of a weighted sum of the output, in float64.
void check_by_differences(const Tensors& inputs, const Operation& operation) {
  const Result result = run(inputs, operation);
  constexpr double step = 1e-5;
  for (std::size_t i = 0; i < inputs.values.size(); ++i) {
    const auto gradient = result.gradients[i].contiguous().view(-1);
    for (std::int64_t k = 0; k < gradient.numel(); k += 1 + gradient.numel() / 50) {
      const auto at = [&](double by) {
        Tensors moved = inputs;
        auto values = inputs.values[i].contiguous().clone();
        values.view(-1)[k] += by;
        moved.values[i] =
            values.dim() == 4 ? values.contiguous(torch::MemoryFormat::ChannelsLast) : values;
        return run(moved, operation).loss;
      };
      const double wanted = (at(step) - at(-step)) / (2 * step);
      EXPECT_NEAR(gradient[k].item<double>(), wanted, 1e-6 * std::max(1.0, std::abs(wanted)))
          << "input " << i << ", element " << k;
    }
  }
}

TEST(FusedGradients, EqualFiniteDifferences) {
  torch::manual_seed(3);
  const Case of{.batch = 2, .channels = 3, .height = 5, .width = 4, .dtype = torch::kFloat64};
  check_by_differences(of.batch_norm_inputs(0.5, 2.0), fused_bn(true, true));
  Tensors with_residual = of.batch_norm_inputs(0.5, 2.0);
  with_residual.values.push_back(of.image());
  check_by_differences(with_residual, fused_bn(true, true));
  for (const std::int64_t stride : {1, 2}) {
    Tensors inputs = of.batch_norm_inputs(0.5, 2.0);
    inputs.values.push_back(of.depthwise_weight());
    check_by_differences(inputs, fused_bn_conv({.stride = stride, .padding = 1}, true, true));
    check_by_differences({.values = {of.image(), of.depthwise_weight()}, .buffers = {}},
                         fused_conv({.stride = stride, .padding = 0}, true));
  }
  check_by_differences({.values = {of.image()}, .buffers = {}}, fused_pool(1));
  check_by_differences(of.batch_norm_inputs(0.5, 2.0), fused_bn_pool(1, true, true));
}

TEST(FusedNonFinite, PassThroughAsInTorch) {
  expect_non_finite_as_in_torch(torch::kCPU);
}

TEST(FusedRounding, NarrowDtypesRoundAsTorchDoes) {
  expect_rounding_as_in_torch(torch::kCPU);
}

TEST(FusedErrors, NameWhatIsWrong) {
  const Case of{.batch = 2, .channels = 3, .height = 5, .width = 5};
  const auto x = of.image();
  EXPECT_FALSE(can_fuse_image(x.contiguous()));
  EXPECT_THROW((void)fused_max_pool(x.contiguous(), 1), Error);
  EXPECT_THROW((void)fused_max_pool(x, 2), Error);
  EXPECT_THROW((void)fused_max_pool(x, 1, x), Error);
  EXPECT_THROW((void)fused_depthwise(x, torch::ones({4, 1, 3, 3}), {}, false), Error);
  EXPECT_THROW((void)fused_depthwise(x, of.depthwise_weight(), {.stride = 3}, false), Error);
  const auto one = torch::ones({3});
  const BatchNormArguments bn{.weight = one, .bias = one, .running_mean = one, .running_var = one};
  EXPECT_THROW((void)fused_bn_act(torch::ones({1, 3, 1, 1}), bn, true), Error);
  EXPECT_THROW((void)fused_bn_max_pool(x, bn, true, 2), Error);
  EXPECT_THROW((void)fused_bn_max_pool(x, bn, true, 1, x), Error);
  auto leaf = of.image().requires_grad_();
  const auto y = fused_max_pool(leaf, 1);
  EXPECT_THROW((void)torch::autograd::grad({y.sum()}, {leaf}, {}, true, /*create_graph=*/true),
               Error);
}

}  // namespace
}  // namespace xception
