#include "kernels/comparisons.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>

namespace xception {

void expect_bn_act(const Case& of) {
  for (const bool relu : {false, true}) {
    for (const bool residual : {false, true}) {
      for (const bool training : {true, false}) {
        if (training && of.batch * of.height * of.width == 1) continue;
        Tensors inputs = of.batch_norm_inputs(0.5, 2.0);
        if (residual) inputs.values.push_back(of.image());
        SCOPED_TRACE(fmt::format("relu {} residual {} training {}", relu, residual, training));
        check_equal(of, inputs, fused_bn(relu, training), plain_bn(relu, training));
      }
    }
  }
}

void expect_bn_with_a_large_mean(const Case& of) {
  // A narrow dtype can't tell such values apart.
  if (of.dtype != torch::kFloat32 && of.dtype != torch::kFloat64) return;
  if (of.batch * of.height * of.width < 8) return;
  for (const double spread : {1e-2, 1.0}) {
    SCOPED_TRACE(spread);
    // In float32 the mean's rounding must not be seen; in float64 it is the reference's own.
    const double condition = of.dtype == torch::kFloat64 ? 1.0 / spread : 1.0;
    check_equal(of, of.batch_norm_inputs(1e4, spread), fused_bn(true, true), plain_bn(true, true),
                {.condition = condition});
  }
}

void expect_depthwise(const Case& of) {
  for (const std::int64_t stride : {1, 2}) {
    for (const std::int64_t padding : {0, 1}) {
      if (std::min(of.height, of.width) + 2 * padding < 3) continue;
      for (const bool relu : {false, true}) {
        SCOPED_TRACE(fmt::format("stride {} padding {} relu {}", stride, padding, relu));
        const DepthwiseOptions options{.stride = stride, .padding = padding};
        const Tensors inputs{.values = {of.image(), of.depthwise_weight()}, .buffers = {}};
        check_equal(of, inputs, fused_conv(options, relu), plain_conv(options, relu));
        // Others read x, too.
        check_equal(of, inputs, fused_conv_beside(options, relu), plain_conv_beside(options, relu));
      }
    }
  }
}

void expect_bn_depthwise(const Case& of) {
  for (const std::int64_t stride : {1, 2}) {
    for (const std::int64_t padding : {0, 1}) {
      if (std::min(of.height, of.width) + 2 * padding < 3) continue;
      for (const bool relu : {false, true}) {
        for (const bool training : {true, false}) {
          if (training && of.batch * of.height * of.width == 1) continue;
          SCOPED_TRACE(fmt::format("stride {} padding {} relu {} training {}", stride, padding,
                                   relu, training));
          const DepthwiseOptions options{.stride = stride, .padding = padding};
          Tensors inputs = of.batch_norm_inputs(0.5, 2.0);
          inputs.values.push_back(of.depthwise_weight());
          check_equal(of, inputs, fused_bn_conv(options, relu, training),
                      plain_bn_conv(options, relu, training));
        }
      }
    }
  }
}

void expect_max_pool(const Case& of) {
  for (const std::int64_t padding : {0, 1}) {
    if (std::min(of.height, of.width) + 2 * padding < 3) continue;
    for (const bool residual : {false, true}) {
      SCOPED_TRACE(fmt::format("padding {} residual {}", padding, residual));
      // Few different values, so that there are ties.
      Tensors inputs{.values = {of.cast(torch::round(of.image() * 2.0))}, .buffers = {}};
      if (residual) {
        inputs.values.push_back(
            of.cast(torch::randn({of.batch, of.channels, (of.height + 2 * padding - 3) / 2 + 1,
                                  (of.width + 2 * padding - 3) / 2 + 1})));
      }
      check_equal(of, inputs, fused_pool(padding), plain_pool(padding));
    }
  }
}

void expect_bn_max_pool(const Case& of) {
  for (const std::int64_t padding : {0, 1}) {
    if (std::min(of.height, of.width) + 2 * padding < 3) continue;
    for (const bool residual : {false, true}) {
      for (const bool relu : {false, true}) {
        for (const bool training : {true, false}) {
          if (training && of.batch * of.height * of.width == 1) continue;
          SCOPED_TRACE(fmt::format("padding {} residual {} relu {} training {}", padding, residual,
                                   relu, training));
          Tensors inputs = of.batch_norm_inputs(0.5, 2.0);
          // Few different values, so that there are ties; scales of both signs.
          inputs.values[0] = of.cast(torch::round(inputs.values[0]));
          inputs.values[1] -= 1.0;
          inputs.values[1][0] = 0.0;
          if (residual) {
            inputs.values.push_back(
                of.cast(torch::randn({of.batch, of.channels, (of.height + 2 * padding - 3) / 2 + 1,
                                      (of.width + 2 * padding - 3) / 2 + 1})));
          }
          check_equal(of, inputs, fused_bn_pool(padding, relu, training),
                      plain_bn_pool(padding, relu, training));
        }
      }
    }
  }
}

void expect_avg_pool(const Case& of) {
  for (const std::int64_t size : {1, 3, 5}) {
    for (const std::int64_t stride : {1, 3}) {
      if (std::min(of.height, of.width) < size) continue;
      SCOPED_TRACE(fmt::format("size {} stride {}", size, stride));
      const Tensors inputs{.values = {of.image()}, .buffers = {}};
      check_equal(
          of, inputs, [&](const Tensors& in) { return fused_avg_pool(in.values[0], size, stride); },
          [&](const Tensors& in) { return at::avg_pool2d(in.values[0], size, stride); });
    }
  }
}

void expect_repeatable(const Case& of) {
  if (of.height < 3 || of.width < 3) return;
  Tensors inputs = of.batch_norm_inputs(0.5, 2.0);
  inputs.values.push_back(of.depthwise_weight());
  const auto operation = fused_bn_conv({}, true, true);
  const Result first = run(inputs, operation);
  const Result second = run(inputs, operation);
  EXPECT_TRUE(torch::equal(first.output, second.output)) << of;
  for (std::size_t i = 0; i < first.gradients.size(); ++i) {
    EXPECT_TRUE(torch::equal(first.gradients[i], second.gradients[i])) << i << of;
  }
}

void expect_non_finite_as_in_torch(const torch::Device& device) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  constexpr double inf = std::numeric_limits<double>::infinity();
  for (const auto dtype : {torch::kFloat32, torch::kBFloat16, torch::kHalf, torch::kFloat64}) {
    for (const double value : {nan, inf, -inf}) {
      const Case of{
          .batch = 2, .channels = 19, .height = 7, .width = 6, .dtype = dtype, .device = device};
      torch::manual_seed(1);
      const torch::NoGradGuard no_grad;
      auto x = of.image();
      x.index_put_({1, 3, 2, 2}, value);
      const auto same_places = [&](const torch::Tensor& a, const torch::Tensor& b) {
        EXPECT_TRUE(torch::equal(torch::isnan(a).cpu(), torch::isnan(b))) << value << dtype;
        EXPECT_TRUE(torch::equal(torch::isinf(a).cpu(), torch::isinf(b))) << value << dtype;
      };
      const Tensors image{.values = {x}, .buffers = {}};
      same_places(call(image, fused_pool(1)), call(in_double(image), plain_pool(1)));
      const Tensors conv{.values = {x, of.depthwise_weight()}, .buffers = {}};
      same_places(call(conv, fused_conv({}, true)), call(in_double(conv), plain_conv({}, true)));
      Tensors norm = of.batch_norm_inputs(0.5, 2.0);
      norm.values[0] = x;
      // In training the whole channel isn't finite, and nothing else.
      const auto y = call(norm, fused_bn(true, true));
      EXPECT_FALSE(torch::isfinite(y.select(1, 3)).all().item<bool>());
      EXPECT_TRUE(torch::isfinite(y.narrow(1, 0, 3)).all().item<bool>());
      EXPECT_TRUE(torch::isfinite(y.narrow(1, 4, 15)).all().item<bool>());
      same_places(call(norm, fused_bn(true, false)), call(in_double(norm), plain_bn(true, false)));
      // The channel's z grows with x, falls with it, or is the same for every finite x.
      for (const double weight : {1.0, -1.0, 0.0}) {
        norm.values[1][3] = weight;
        same_places(call(norm, fused_bn_pool(1, true, false)),
                    call(in_double(norm), plain_bn_pool(1, true, false)));
      }
    }
  }
}

void expect_rounding_as_in_torch(const torch::Device& device) {
  // Identity BatchNorm: y = x, so what is stored is the conversion's result.
  const torch::NoGradGuard no_grad;
  for (const auto dtype : {torch::kHalf, torch::kBFloat16}) {
    auto values = torch::arange(65536, torch::kInt32).to(torch::kInt16).view(dtype).to(device);
    auto x = values.view({1, 16, 64, 64}).contiguous(torch::MemoryFormat::ChannelsLast);
    auto one = torch::ones({16}, device);
    auto zero = torch::zeros({16}, device);
    const BatchNormArguments bn{.weight = one,
                                .bias = zero,
                                .running_mean = zero.clone(),
                                .running_var = one.clone(),
                                .eps = 0.0,
                                .training = false};
    const auto y = fused_bn_act(x, bn, false);
    EXPECT_TRUE(torch::equal(torch::isnan(x), torch::isnan(y)));
    EXPECT_TRUE(torch::equal(torch::nan_to_num(x.to(torch::kFloat64)),
                             torch::nan_to_num(y.to(torch::kFloat64))));
    // Halves of the last bit and beyond the ends.
    auto scaled = torch::full({16}, 1.0F + 0x1p-9F + 0x1p-12F, device);
    const BatchNormArguments scaling{.weight = scaled,
                                     .bias = zero,
                                     .running_mean = zero.clone(),
                                     .running_var = one.clone(),
                                     .eps = 0.0,
                                     .training = false};
    const auto rounded = fused_bn_act(x, scaling, false);
    const auto wanted = (x.to(torch::kFloat32) * scaled[0]).to(dtype);
    EXPECT_TRUE(torch::equal(torch::nan_to_num(rounded.to(torch::kFloat64)),
                             torch::nan_to_num(wanted.to(torch::kFloat64))));
  }
}

}  // namespace xception
