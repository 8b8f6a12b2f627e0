#pragma once

#include <torch/types.h>

#include <string>

namespace xception {

/// Trains each network of the registry, small, for three steps of SGD on made-up images with
/// LibTorch's operations and with fused kernels, and compares what they have learned with what
/// LibTorch's learn in float32: fused kernels may be off by twice as much as LibTorch's in
/// `precision` are and a margin, in depthwise weights, other weights and BatchNorm's each. Then it
/// evaluates the network with both. So every fused operation is tested as a network uses it, those
/// of Inception's branches too; fused_selftest goes through single ones. Empty if they agree, else
/// what is wrong. Draws no random numbers of the run's. Seconds.
///
/// precision: a name of `train.precision`.
[[nodiscard]] std::string network_selftest(const torch::Device& device,
                                           const std::string& precision);

}  // namespace xception
