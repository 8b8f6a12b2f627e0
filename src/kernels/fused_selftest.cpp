#include <ATen/Context.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/types.h>

#include <array>
#include <exception>
#include <functional>

#include "xception/core/first_line.h"
#include "xception/kernels/avg_pool.h"
#include "xception/kernels/bn_act.h"
#include "xception/kernels/depthwise.h"
#include "xception/kernels/fused_selftest.h"
#include "xception/kernels/image_rows.h"
#include "xception/kernels/max_pool.h"
#include "xception/kernels/parameter_update.h"
#include "xception/kernels/selftest_settings.h"

namespace xception {
namespace {

constexpr std::int64_t kChannels = 40;
constexpr std::int64_t kOdd = 13;  // a partial vector, an odd image

/// Values between -1 and 1 that no random numbers are drawn for.
torch::Tensor values(at::IntArrayRef sizes, double step, const torch::Device& device) {
  return at::arange(c10::multiply_integers(sizes), at::TensorOptions(torch::kFloat64))
      .mul(step)
      .sin()
      .view(sizes)
      .to(device);
}

/// What an operation works on; leaves that require gradients.
struct Inputs {
  torch::Tensor x, residual, halved, weight, bn_weight, bn_bias;

  /// Images of `dtype`, with values that `rounded` has.
  Inputs(std::int64_t channels, torch::ScalarType rounded, torch::ScalarType dtype,
         const torch::Device& device) {
    constexpr auto wide = torch::kFloat32;
    const auto leaf = [&](at::IntArrayRef sizes, double step, torch::ScalarType type) {
      auto made = values(sizes, step, device).to(rounded).to(type);
      if (made.dim() == 4) made = made.contiguous(torch::MemoryFormat::ChannelsLast);
      return made.requires_grad_();
    };
    const std::int64_t half = (kOdd + 1) / 2;
    x = leaf({2, channels, kOdd, kOdd}, 0.7, dtype);
    residual = leaf({2, channels, kOdd, kOdd}, 1.3, dtype);
    halved = leaf({2, channels, half, half}, 1.9, dtype);
    weight = leaf({channels, 1, 3, 3}, 2.3, wide);
    bn_weight = leaf({channels}, 2.9, wide);
    bn_bias = leaf({channels}, 3.1, wide);
  }

  [[nodiscard]] BatchNormArguments batch_norm() const {
    return {.weight = bn_weight,
            .bias = bn_bias,
            .running_mean = at::zeros_like(bn_weight).detach(),
            .running_var = at::ones_like(bn_weight).detach()};
  }
};

using Operation = std::function<torch::Tensor(const Inputs&)>;

struct Check {
  const char* name;
  Operation fused, plain;
};

torch::Tensor normalized(const Inputs& in) {
  const auto bn = in.batch_norm();
  return at::batch_norm(in.x, bn.weight, bn.bias, bn.running_mean, bn.running_var, true,
                        bn.momentum, bn.eps, at::globalContext().userEnabledCuDNN());
}

torch::Tensor depthwise(const Inputs& in, const torch::Tensor& x) {
  return at::conv2d(x, in.weight.to(x.scalar_type()), {}, 1, 1, 1, in.weight.size(0));
}

std::array<Check, 7> checks() {
  return {{
      {"BatchNorm, addition and ReLU",
       [](const Inputs& in) { return fused_bn_act(in.x, in.batch_norm(), true, in.residual); },
       [](const Inputs& in) { return (normalized(in) + in.residual).relu(); }},
      {"depthwise convolution of a ReLU",
       [](const Inputs& in) { return fused_depthwise(in.x, in.weight, {}, true); },
       [](const Inputs& in) { return depthwise(in, in.x.relu()); }},
      {"depthwise convolution beside a shortcut",
       [](const Inputs& in) {
         const auto both = fused_depthwise_beside(in.x, in.weight, {}, true);
         return both.convolved + both.input;
       },
       [](const Inputs& in) { return depthwise(in, in.x.relu()) + in.x; }},
      {"average pooling", [](const Inputs& in) { return fused_avg_pool(in.x, 5, 3); },
       [](const Inputs& in) { return at::avg_pool2d(in.x, 5, 3); }},
      {"depthwise convolution of BatchNorm and ReLU",
       [](const Inputs& in) {
         return fused_bn_depthwise(in.x, in.batch_norm(), true, in.weight, {});
       },
       [](const Inputs& in) { return depthwise(in, normalized(in).relu()); }},
      {"max pooling and addition",
       [](const Inputs& in) { return fused_max_pool(in.x, 1, in.halved); },
       [](const Inputs& in) { return at::max_pool2d(in.x, 3, 2, 1) + in.halved; }},
      {"max pooling of BatchNorm and addition",
       [](const Inputs& in) {
         return fused_bn_max_pool(in.x, in.batch_norm(), true, 1, in.halved);
       },
       [](const Inputs& in) { return at::max_pool2d(normalized(in).relu(), 3, 2, 1) + in.halved; }},
  }};
}

/// The result and its gradients, for a gradient of values that `rounded` has.
std::vector<torch::Tensor> outcome(const Operation& operation, const Inputs& in,
                                   torch::ScalarType rounded) {
  const torch::AutoGradMode with_gradients(true);
  const auto y = operation(in);
  const auto weights = values(y.sizes(), 0.37, y.device()).to(rounded).to(y.scalar_type());
  auto all = torch::autograd::grad(
      {y}, {in.x, in.residual, in.halved, in.weight, in.bn_weight, in.bn_bias}, {weights},
      /*retain_graph=*/false, /*create_graph=*/false, /*allow_unused=*/true);
  all.push_back(y.detach());
  return all;
}

bool near(const torch::Tensor& actual, const torch::Tensor& expected, double tolerance) {
  if (actual.defined() != expected.defined()) return false;
  if (!actual.defined()) return true;
  const auto wide = expected.to(torch::kFloat64);
  const auto error = (actual.to(torch::kFloat64) - wide).norm().item<double>();
  return error <= tolerance * wide.norm().item<double>();  // false for NaN
}

/// The input batch's last steps, with maps of a few weights a line.
bool image_rows_agree(const torch::Device& device) {
  const auto as_float = [&](at::IntArrayRef sizes, double step) {
    return values(sizes, step, device).to(torch::kFloat32);
  };
  const auto columns = as_float({2, 5, 3 * kOdd}, 0.9).mul_(100.0).add_(128.0);
  const auto rows = as_float({2, 9, 5}, 1.7).clamp_min_(0.0);
  const auto scale = as_float({3}, 0.4).add_(1.0).div_(255.0);
  const auto offset = as_float({3}, 0.6);
  const auto plain = torch::matmul(rows, columns).round_().view({2, 9, kOdd, 3}) * scale + offset;
  const auto fused = fused_image_rows(columns, rows, scale, offset, torch::kFloat32);
  return near(fused.permute({0, 2, 3, 1}), plain, 1e-3);
}

/// A step of Adam with gradients of `narrow`, of a partial block and an address between vectors'.
bool update_agrees(const torch::Device& device, torch::ScalarType narrow) {
  constexpr std::int64_t kValues = 9001;
  const auto make = [&](double step, torch::ScalarType dtype) {
    return values({kValues + 1}, step, device).to(dtype);
  };
  const auto wide = make(0.7, torch::kFloat32);
  const auto second = make(1.1, torch::kFloat32).abs_();
  const auto gradient = make(1.3, narrow);
  const auto copy = at::zeros_like(gradient);
  const auto options = torch::TensorOptions(device).dtype(torch::kFloat32);
  constexpr double kRate = 1e-3;
  const UpdateRule adam{.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
  std::vector<ParameterUpdate> updates;
  std::vector<torch::Tensor> expected;
  for (const std::int64_t first : {0, 1}) {
    const auto part = [&](const torch::Tensor& of) { return of.clone().narrow(0, first, kValues); };
    updates.push_back({part(wide), part(gradient), part(wide), part(second), part(copy)});
    const auto g = part(gradient).to(torch::kFloat32) * 0.5;
    const auto m = part(wide).lerp(g, 1.0 - adam.beta1);
    const auto v = part(second).lerp(g * g, 1.0 - adam.beta2);
    const auto root = (v / (1.0 - adam.beta2)).sqrt().add_(adam.eps);
    expected.push_back(part(wide) - kRate / (1.0 - adam.beta1) * m / root);
    expected.push_back(m);
    expected.push_back(v);
  }
  fused_update(updates, adam,
               {.lr = at::full({}, kRate, options),
                .step = at::ones({}, options),
                .inverse_scale = at::full({1}, 0.5, options),
                .found_inf = at::zeros({1}, options)});
  for (std::size_t i = 0; i < updates.size(); ++i) {
    const auto& of = updates[i];
    if (!near(of.parameter, expected[3 * i], 1e-5) || !near(of.first, expected[3 * i + 1], 1e-5) ||
        !near(of.second, expected[3 * i + 2], 1e-5) || !near(of.copy, of.parameter, 0.01)) {
      return false;
    }
  }
  return true;
}

std::string first_difference(const torch::Device& device) {
  if (!image_rows_agree(device)) return "the input batch differs from LibTorch's";
  struct Precision {
    torch::ScalarType dtype;
    double tolerance;
  };
  const auto narrow = device.is_cuda() ? torch::kFloat16 : torch::kBFloat16;
  const std::array<Precision, 2> precisions{{{torch::kFloat32, 1e-3}, {narrow, 0.02}}};
  for (const auto& precision : precisions) {
    if (!update_agrees(device, precision.dtype)) {
      return fmt::format("an optimizer's step with gradients of {} differs from LibTorch's",
                         c10::toString(precision.dtype));
    }
    for (const std::int64_t channels : {kChannels, kOdd}) {
      const Inputs in(channels, precision.dtype, precision.dtype, device);
      const Inputs exact(channels, precision.dtype, torch::kFloat32, device);
      for (const auto& check : checks()) {
        const auto fused = outcome(check.fused, in, precision.dtype);
        const auto plain = outcome(check.plain, exact, precision.dtype);
        for (std::size_t i = 0; i < plain.size(); ++i) {
          if (near(fused[i], plain[i], precision.tolerance)) continue;
          return fmt::format("{} of {} differs from LibTorch's", check.name,
                             c10::toString(precision.dtype));
        }
      }
    }
  }
  return {};
}

}  // namespace

std::string fused_selftest(const torch::Device& device) {
  const SelftestSettings settings(device.type());
  try {
    return first_difference(device);
  } catch (const std::exception& error) {
    return first_line(error.what());
  }
}

}  // namespace xception
