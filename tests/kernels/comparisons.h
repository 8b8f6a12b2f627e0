#pragma once

#include "kernels/cases.h"

// The fused operations against LibTorch's own in float64 on the CPU, on the same rounded inputs,
// wherever they run. To be called in tests.
namespace xception {

void expect_bn_act(const Case& of);
void expect_bn_with_a_large_mean(const Case& of);
void expect_depthwise(const Case& of);
void expect_bn_depthwise(const Case& of);
void expect_max_pool(const Case& of);
void expect_bn_max_pool(const Case& of);
void expect_avg_pool(const Case& of);
/// Two runs, bit for bit.
void expect_repeatable(const Case& of);
void expect_non_finite_as_in_torch(const torch::Device& device);
/// Every value of the narrow dtypes, and those between them.
void expect_rounding_as_in_torch(const torch::Device& device);

}  // namespace xception
