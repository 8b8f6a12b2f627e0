#pragma once

#include <torch/types.h>

#include <functional>
#include <ostream>
#include <vector>

#include "xception/kernels/avg_pool.h"
#include "xception/kernels/bn_act.h"
#include "xception/kernels/depthwise.h"
#include "xception/kernels/max_pool.h"

namespace xception {

/// What an operation gets: values, all differentiated, and BatchNorm's running statistics.
struct Tensors {
  std::vector<torch::Tensor> values;
  std::vector<torch::Tensor> buffers;
};

struct Result {
  torch::Tensor output;
  double loss = 0.0;
  std::vector<torch::Tensor> gradients;  ///< of values
  std::vector<torch::Tensor> buffers;
};

using Operation = std::function<torch::Tensor(const Tensors&)>;

/// A shape and a dtype, and inputs of these.
struct Case {
  std::int64_t batch = 1, channels = 1, height = 1, width = 1;
  torch::Dtype dtype = torch::kFloat32;
  torch::Device device = torch::kCPU;

  [[nodiscard]] torch::Tensor cast(const torch::Tensor& x) const;
  [[nodiscard]] torch::Tensor image() const;
  /// Image, weight and bias of BatchNorm; its buffers.
  [[nodiscard]] Tensors batch_norm_inputs(double mean, double spread) const;
  [[nodiscard]] torch::Tensor depthwise_weight() const;
  [[nodiscard]] double forward_tolerance() const;
  [[nodiscard]] double gradient_tolerance() const;
};
std::ostream& operator<<(std::ostream& out, const Case& of);

/// Odd sizes, one channel, channels beside the vectors' width, every dtype.
std::vector<Case> cases(torch::Device device);

/// In float64 on the CPU.
Tensors in_double(const Tensors& inputs);
/// The output alone.
torch::Tensor call(const Tensors& inputs, const Operation& operation);
/// Output, loss (a sum with fixed random weights) and its gradients.
Result run(const Tensors& inputs, const Operation& operation);
/// Of all elements: |a - b| / |b|.
double relative_difference(const torch::Tensor& a, const torch::Tensor& b);

struct Comparison {
  double condition = 1.0;        ///< what rounding errors grow by, whoever makes them
  bool rounded_between = false;  ///< a BatchNorm reads what was rounded to the dtype on the way
};

/// Compares outputs and every gradient of `fused` with those of `plain` in float64.
void check_equal(const Case& of, const Tensors& inputs, const Operation& fused,
                 const Operation& plain, const Comparison& comparison = {});

// values: image, weight, bias and perhaps a residual.
Operation fused_bn(bool relu, bool training);
Operation plain_bn(bool relu, bool training);
// values: image, depthwise weight.
Operation fused_conv(const DepthwiseOptions& options, bool relu);
Operation plain_conv(const DepthwiseOptions& options, bool relu);
// values: image, weight, bias, depthwise weight.
/// The result's pixels, then x's.
Operation fused_conv_beside(const DepthwiseOptions& options, bool relu);
Operation plain_conv_beside(const DepthwiseOptions& options, bool relu);
Operation fused_bn_conv(const DepthwiseOptions& options, bool relu, bool training);
Operation plain_bn_conv(const DepthwiseOptions& options, bool relu, bool training);
// values: image and perhaps a residual.
/// A fourth value is a residual.
Operation fused_bn_pool(std::int64_t padding, bool relu, bool training);
Operation plain_bn_pool(std::int64_t padding, bool relu, bool training);
Operation fused_pool(std::int64_t padding);
Operation plain_pool(std::int64_t padding);

}  // namespace xception
