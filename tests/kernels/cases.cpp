#include "kernels/cases.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

namespace xception {
namespace {

constexpr double kEps = 1e-3;

bool is_double(torch::Dtype dtype) {
  return dtype == torch::kFloat64;
}

BatchNormArguments arguments(const Tensors& inputs, bool training) {
  return {.weight = inputs.values[1],
          .bias = inputs.values[2],
          .running_mean = inputs.buffers[0],
          .running_var = inputs.buffers[1],
          .eps = kEps,
          .momentum = 0.1,
          .training = training};
}

torch::Tensor plain_norm(const Tensors& inputs, bool training) {
  return at::batch_norm(inputs.values[0], inputs.values[1], inputs.values[2], inputs.buffers[0],
                        inputs.buffers[1], training, 0.1, kEps, false);
}

torch::Tensor maybe_relu(const torch::Tensor& x, bool relu) {
  return relu ? at::relu(x) : x;
}

}  // namespace

torch::Tensor Case::cast(const torch::Tensor& x) const {
  return x.to(torch::TensorOptions(device).dtype(dtype))
      .contiguous(torch::MemoryFormat::ChannelsLast);
}

torch::Tensor Case::image() const {
  return cast(torch::randn({batch, channels, height, width}, torch::kFloat64));
}

Tensors Case::batch_norm_inputs(double mean, double spread) const {
  const auto options = torch::TensorOptions(is_double(dtype) ? torch::kFloat64 : torch::kFloat32);
  const auto place = [&](const torch::Tensor& x) { return x.to(device); };
  const auto x = torch::randn({batch, channels, height, width}, torch::kFloat64) * spread + mean;
  return {.values = {cast(x), place(torch::rand({channels}, options) + 0.5),
                     place(torch::randn({channels}, options))},
          .buffers = {place(torch::randn({channels}, options)),
                      place(torch::rand({channels}, options) + 0.5)}};
}

torch::Tensor Case::depthwise_weight() const {
  return torch::randn(
      {channels, 1, 3, 3},
      torch::TensorOptions(device).dtype(is_double(dtype) ? torch::kFloat64 : torch::kFloat32));
}

double Case::forward_tolerance() const {
  if (is_double(dtype)) return 1e-10;
  if (dtype == torch::kHalf) return 1e-3;
  return dtype == torch::kBFloat16 ? 8e-3 : 1e-5;
}

double Case::gradient_tolerance() const {
  if (is_double(dtype)) return 1e-10;
  if (dtype == torch::kHalf) return 3e-3;
  return dtype == torch::kBFloat16 ? 24e-3 : 5e-5;
}

std::ostream& operator<<(std::ostream& out, const Case& of) {
  return out << of.batch << "x" << of.channels << "x" << of.height << "x" << of.width << " "
             << torch::toString(of.dtype);
}

std::vector<Case> cases(torch::Device device) {
  std::vector<Case> all;
  for (const auto dtype : {torch::kFloat64, torch::kFloat32, torch::kBFloat16, torch::kHalf}) {
    for (Case shape : {Case{.batch = 3, .channels = 1, .height = 1, .width = 1},
                       Case{.batch = 1, .channels = 7, .height = 10, .width = 10},
                       Case{.batch = 2, .channels = 24, .height = 19, .width = 19},
                       Case{.batch = 5, .channels = 37, .height = 3, .width = 5},
                       Case{.batch = 2, .channels = 16, .height = 37, .width = 10},
                       Case{.batch = 4, .channels = 91, .height = 19, .width = 37}}) {
      shape.dtype = dtype;
      shape.device = device;
      all.push_back(shape);
    }
  }
  return all;
}

Tensors in_double(const Tensors& inputs) {
  Tensors doubles;
  for (const auto& x : inputs.values) doubles.values.push_back(x.to(torch::kCPU, torch::kFloat64));
  for (const auto& x : inputs.buffers)
    doubles.buffers.push_back(x.to(torch::kCPU, torch::kFloat64));
  return doubles;
}

torch::Tensor call(const Tensors& inputs, const Operation& operation) {
  Tensors own = inputs;
  for (auto& buffer : own.buffers) buffer = buffer.clone();
  return operation(own);
}

Result run(const Tensors& inputs, const Operation& operation) {
  Tensors own;
  for (const auto& x : inputs.values) own.values.push_back(x.detach().clone().requires_grad_());
  for (const auto& x : inputs.buffers) own.buffers.push_back(x.clone());
  Result result;
  result.output = operation(own);
  auto generator = at::make_generator<at::CPUGeneratorImpl>(11);
  // Rounded, so that every dtype gets the same gradient.
  const auto weights =
      (torch::randn(result.output.sizes(), generator, torch::TensorOptions(torch::kFloat64)) * 16.0)
          .round()
          .div(16.0)
          .to(result.output.device());
  const auto loss = (result.output.to(torch::kFloat64) * weights).sum();
  loss.backward();
  result.loss = loss.item<double>();
  result.output = result.output.detach();
  for (const auto& x : own.values) result.gradients.push_back(x.grad());
  result.buffers = own.buffers;
  return result;
}

double relative_difference(const torch::Tensor& a, const torch::Tensor& b) {
  const auto x = a.to(torch::kFloat64).to(torch::kCPU);
  const auto y = b.to(torch::kFloat64).to(torch::kCPU);
  // Where all should be zero, rounding is measured against one.
  const double scale = std::max(y.norm().item<double>(), 1e-3);
  return (x - y).norm().item<double>() / scale;
}

void check_equal(const Case& of, const Tensors& inputs, const Operation& fused,
                 const Operation& plain, const Comparison& comparison) {
  const Result actual = run(inputs, fused);
  const Result wanted = run(in_double(inputs), plain);
  const auto compare = [&](const std::string& what, const torch::Tensor& a, const torch::Tensor& b,
                           double tolerance) {
    ASSERT_EQ(a.defined(), b.defined()) << what;
    if (a.defined()) {
      EXPECT_LE(relative_difference(a, b), comparison.condition * tolerance) << what << " " << of;
    }
  };
  compare("output", actual.output, wanted.output, of.forward_tolerance());
  for (std::size_t i = 0; i < wanted.gradients.size(); ++i) {
    compare(fmt::format("gradient {}", i), actual.gradients[i], wanted.gradients[i],
            of.gradient_tolerance());
  }
  const double exact = of.dtype == torch::kFloat64 ? 1e-10 : 1e-5;
  for (std::size_t i = 0; i < wanted.buffers.size(); ++i) {
    compare(fmt::format("buffer {}", i), actual.buffers[i], wanted.buffers[i],
            comparison.rounded_between ? of.forward_tolerance() : exact);
  }
}

Operation fused_bn(bool relu, bool training) {
  return [=](const Tensors& in) {
    return fused_bn_act(in.values[0], arguments(in, training), relu,
                        in.values.size() > 3 ? in.values[3] : torch::Tensor());
  };
}

Operation plain_bn(bool relu, bool training) {
  return [=](const Tensors& in) {
    auto y = plain_norm(in, training);
    if (in.values.size() > 3) y = y + in.values[3];
    return maybe_relu(y, relu);
  };
}

Operation fused_conv(const DepthwiseOptions& options, bool relu) {
  return
      [=](const Tensors& in) { return fused_depthwise(in.values[0], in.values[1], options, relu); };
}

Operation plain_conv(const DepthwiseOptions& options, bool relu) {
  return [=](const Tensors& in) {
    return at::conv2d(maybe_relu(in.values[0], relu), in.values[1], {}, options.stride,
                      options.padding, 1, in.values[0].size(1));
  };
}

namespace {

/// Two images of different sizes in one, pixel after pixel.
torch::Tensor joined(const torch::Tensor& convolved, const torch::Tensor& x) {
  const auto as_lines = [](const torch::Tensor& image) { return image.flatten(2); };
  return at::cat({as_lines(convolved), as_lines(x)}, 2);
}

}  // namespace

Operation fused_conv_beside(const DepthwiseOptions& options, bool relu) {
  return [=](const Tensors& in) {
    const auto result = fused_depthwise_beside(in.values[0], in.values[1], options, relu);
    return joined(result.convolved, result.input);
  };
}

Operation plain_conv_beside(const DepthwiseOptions& options, bool relu) {
  return [=](const Tensors& in) { return joined(plain_conv(options, relu)(in), in.values[0]); };
}

Operation fused_bn_conv(const DepthwiseOptions& options, bool relu, bool training) {
  return [=](const Tensors& in) {
    return fused_bn_depthwise(in.values[0], arguments(in, training), relu, in.values[3], options);
  };
}

Operation plain_bn_conv(const DepthwiseOptions& options, bool relu, bool training) {
  return [=](const Tensors& in) {
    return at::conv2d(maybe_relu(plain_norm(in, training), relu), in.values[3], {}, options.stride,
                      options.padding, 1, in.values[0].size(1));
  };
}

Operation fused_bn_pool(std::int64_t padding, bool relu, bool training) {
  return [=](const Tensors& in) {
    return fused_bn_max_pool(in.values[0], arguments(in, training), relu, padding,
                             in.values.size() > 3 ? in.values[3] : torch::Tensor());
  };
}

Operation plain_bn_pool(std::int64_t padding, bool relu, bool training) {
  return [=](const Tensors& in) {
    auto y = at::max_pool2d(maybe_relu(plain_norm(in, training), relu), 3, 2, padding);
    return in.values.size() > 3 ? y + in.values[3] : y;
  };
}

Operation fused_pool(std::int64_t padding) {
  return [=](const Tensors& in) {
    return fused_max_pool(in.values[0], padding,
                          in.values.size() > 1 ? in.values[1] : torch::Tensor());
  };
}

Operation plain_pool(std::int64_t padding) {
  return [=](const Tensors& in) {
    auto y = at::max_pool2d(in.values[0], 3, 2, padding);
    return in.values.size() > 1 ? y + in.values[1] : y;
  };
}

}  // namespace xception
