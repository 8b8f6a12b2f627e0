// The CUDA kernels on a GPU, through the public functions. `gpu_sanitize.sh` runs the suites named
// GpuKernels under compute-sanitizer.

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/cuda.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <vector>

#include "kernels/cases.h"
#include "kernels/comparisons.h"
#include "kernels/image_rows_testing.h"
#include "kernels/parameter_update_testing.h"

namespace xception {
namespace {

const torch::Device kGpu(torch::kCUDA, 0);

/// Skips where there is no GPU.
class GpuKernels : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (!torch::cuda::is_available()) GTEST_SKIP() << "no CUDA device";
    torch::manual_seed(7);
  }
};

TEST_P(GpuKernels, BnActEqualsTorch) {
  expect_bn_act(GetParam());
}

TEST_P(GpuKernels, BnWithALargeMeanEqualsTorch) {
  expect_bn_with_a_large_mean(GetParam());
}

TEST_P(GpuKernels, DepthwiseEqualsTorch) {
  expect_depthwise(GetParam());
}

TEST_P(GpuKernels, BnDepthwiseEqualsTorch) {
  expect_bn_depthwise(GetParam());
}

TEST_P(GpuKernels, MaxPoolEqualsTorch) {
  expect_max_pool(GetParam());
}

TEST_P(GpuKernels, BnMaxPoolEqualsTorch) {
  expect_bn_max_pool(GetParam());
}

TEST_P(GpuKernels, AvgPoolEqualsTorch) {
  expect_avg_pool(GetParam());
}

TEST_P(GpuKernels, RepeatBitForBit) {
  expect_repeatable(GetParam());
}

INSTANTIATE_TEST_SUITE_P(Shapes, GpuKernels, testing::ValuesIn(cases(kGpu)));

// So many rows and channels that all multiprocessors have work.
INSTANTIATE_TEST_SUITE_P(Networks, GpuKernels,
                         testing::Values(Case{.batch = 4,
                                              .channels = 64,
                                              .height = 147,
                                              .width = 147,
                                              .dtype = torch::kHalf,
                                              .device = kGpu},
                                         Case{.batch = 8,
                                              .channels = 728,
                                              .height = 19,
                                              .width = 19,
                                              .dtype = torch::kBFloat16,
                                              .device = kGpu},
                                         Case{.batch = 8,
                                              .channels = 1536,
                                              .height = 10,
                                              .width = 10,
                                              .dtype = torch::kFloat32,
                                              .device = kGpu},
                                         Case{.batch = 2,
                                              .channels = 80,
                                              .height = 73,
                                              .width = 73,
                                              .dtype = torch::kHalf,
                                              .device = kGpu}));

class GpuKernelsOnce : public GpuKernels {};

TEST_P(GpuKernelsOnce, NonFiniteOnesPassAsInTorch) {
  expect_non_finite_as_in_torch(kGpu);
}

TEST_P(GpuKernelsOnce, NarrowDtypesRoundAsTorchDoes) {
  expect_rounding_as_in_torch(kGpu);
}

TEST_P(GpuKernelsOnce, ImageRowsEqualTorch) {
  for (const auto& of : image_rows_cases(kGpu)) expect_image_rows(of);
  expect_halves_to_even(kGpu);
}

TEST_P(GpuKernelsOnce, ParameterUpdatesEqualTorch) {
  for (const auto& of : update_cases()) expect_update(of, kGpu);
}

/// A unit there and back: depthwise convolution beside a shortcut, BatchNorm and ReLU, depthwise
/// convolution, BatchNorm with a residual, pooling, of BatchNorm too. Returns all that it makes;
/// the running statistics change in place.
std::vector<torch::Tensor> step(const Tensors& in) {
  const auto x = in.values[0].detach().requires_grad_();
  const auto gamma = in.values[1].detach().requires_grad_();
  const auto beta = in.values[2].detach().requires_grad_();
  const auto weight = in.values[3].detach().requires_grad_();
  const BatchNormArguments bn{
      .weight = gamma, .bias = beta, .running_mean = in.buffers[0], .running_var = in.buffers[1]};
  const auto begun = fused_depthwise_beside(x, weight, {}, true);
  const auto convolved = fused_bn_depthwise(begun.convolved, bn, true, weight, {});
  const auto pooled = fused_max_pool(fused_bn_act(convolved, bn, true, begun.input), 1);
  const auto y = fused_bn_max_pool(convolved, bn, true, 1, pooled);
  auto made = torch::autograd::grad({y}, {x, gamma, beta, weight}, {torch::ones_like(y)});
  made.push_back(y.detach());
  return made;
}

TEST_P(GpuKernelsOnce, AGraphEqualsTheStep) {
  const Case& of = GetParam();
  Tensors inputs = of.batch_norm_inputs(0.5, 2.0);
  inputs.values.push_back(of.depthwise_weight());
  const Tensors before = [&] {
    Tensors copy = inputs;
    for (auto& buffer : copy.buffers) buffer = buffer.clone();
    return copy;
  }();
  const auto reset = [&] {
    for (std::size_t i = 0; i < before.buffers.size(); ++i) {
      inputs.buffers[i].copy_(before.buffers[i]);
    }
  };
  torch::cuda::synchronize();
  const c10::cuda::CUDAStreamGuard guard(c10::cuda::getStreamFromPool());
  (void)step(inputs);  // sets up what is set up once
  reset();
  const auto wanted = step(inputs);
  const auto wanted_mean = inputs.buffers[0].clone();
  const auto wanted_variance = inputs.buffers[1].clone();
  torch::cuda::synchronize();
  at::cuda::CUDAGraph graph;
  graph.capture_begin();
  const auto found = step(inputs);
  graph.capture_end();
  for (int turn = 0; turn < 2; ++turn) {
    reset();
    for (const auto& tensor : found) tensor.detach().zero_();
    graph.replay();
    torch::cuda::synchronize();
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_TRUE(torch::equal(found[i], wanted[i])) << i;
    }
    EXPECT_TRUE(torch::equal(inputs.buffers[0], wanted_mean));
    EXPECT_TRUE(torch::equal(inputs.buffers[1], wanted_variance));
  }
}

INSTANTIATE_TEST_SUITE_P(One, GpuKernelsOnce,
                         testing::Values(Case{.batch = 4,
                                              .channels = 64,
                                              .height = 19,
                                              .width = 19,
                                              .dtype = torch::kHalf,
                                              .device = kGpu}));

}  // namespace
}  // namespace xception
