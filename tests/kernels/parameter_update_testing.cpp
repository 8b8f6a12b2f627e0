#include "kernels/parameter_update_testing.h"

#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_fused_sgd.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <array>

namespace xception {
namespace {

constexpr double kScale = 1024.0;
constexpr double kRate = 0x1p-7;  // the same in float32

torch::ScalarType wide_of(torch::ScalarType narrow) {
  return narrow == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
}

/// What LibTorch updates: the same values on the CPU, one after another in memory.
struct Reference {
  explicit Reference(const std::vector<ParameterUpdate>& updates) {
    const auto take = [](std::vector<torch::Tensor>& to, const torch::Tensor& from) {
      if (from.defined()) to.push_back(from.detach().cpu().contiguous().clone());
    };
    for (const auto& update : updates) {
      take(parameters, update.parameter);
      take(first, update.first);
      take(second, update.second);
    }
  }

  void step(const UpdateCase& of, const std::vector<ParameterUpdate>& updates, double number) {
    const auto& rule = of.rule;
    std::vector<torch::Tensor> gradients;
    for (const auto& update : updates) {
      const auto wide = update.gradient.cpu().contiguous().to(wide_of(of.narrow));
      gradients.push_back(of.scaled ? wide / kScale : wide);
    }
    const auto lr = torch::full({}, kRate, torch::kFloat64);
    if (rule.kind == UpdateKind::sgd) {
      at::_fused_sgd_(parameters, gradients, first, rule.weight_decay, rule.momentum, lr,
                      /*dampening=*/0.0, rule.nesterov, /*maximize=*/false,
                      /*is_first_step=*/false);
      return;
    }
    const std::vector<torch::Tensor> steps(parameters.size(), torch::full({}, number));
    if (rule.kind == UpdateKind::adam) {
      at::_fused_adam_(parameters, gradients, first, second, {}, steps, lr, rule.beta1, rule.beta2,
                       rule.weight_decay, rule.eps, false, false);
    } else {
      at::_fused_adamw_(parameters, gradients, first, second, {}, steps, lr, rule.beta1, rule.beta2,
                        rule.weight_decay, rule.eps, false, false);
    }
  }

  std::vector<torch::Tensor> parameters, first, second;
};

void expect_near(const torch::Tensor& actual, const torch::Tensor& expected) {
  const double tolerance = expected.scalar_type() == torch::kFloat64 ? 1e-13 : 4e-6;
  EXPECT_TRUE(torch::allclose(actual.cpu(), expected, tolerance, 0.01 * tolerance,
                              /*equal_nan=*/true))
      << (actual.cpu() - expected).abs().max();
}

}  // namespace

std::string UpdateCase::name() const {
  static constexpr std::array names = {"adam", "adamw", "sgd"};
  return fmt::format("{} {}{}{}{}{}", names.at(static_cast<std::size_t>(rule.kind)),
                     c10::toString(narrow), rule.weight_decay > 0 ? ", weight decay" : "",
                     rule.nesterov       ? ", Nesterov"
                     : rule.momentum > 0 ? ", momentum"
                                         : "",
                     scaled ? ", scaled" : "", copies ? "" : ", without copies");
}

std::vector<UpdateCase> update_cases() {
  std::vector<UpdateCase> cases;
  for (const auto narrow : {torch::kHalf, torch::kBFloat16, torch::kFloat32, torch::kFloat64}) {
    for (const auto kind : {UpdateKind::adam, UpdateKind::adamw, UpdateKind::sgd}) {
      for (const bool more : {false, true}) {
        const UpdateRule rule{.kind = kind,
                              .beta1 = 0.9,
                              .beta2 = 0.999,
                              .eps = 1e-8,
                              .momentum = more ? 0.9 : 0.0,
                              .weight_decay = more ? 0.1 : 0.0};
        cases.push_back({.rule = rule, .narrow = narrow, .scaled = more, .copies = more});
        if (kind != UpdateKind::sgd || !more) continue;
        cases.push_back({.rule = rule, .narrow = narrow, .scaled = more, .copies = more});
        cases.back().rule.nesterov = true;
      }
    }
  }
  return cases;
}

std::vector<ParameterUpdate> updates_of(const UpdateCase& of, const torch::Device& device) {
  const auto wide = wide_of(of.narrow);
  std::vector<ParameterUpdate> updates;
  const auto add = [&](const torch::Tensor& like, bool aligned) {
    // A tensor of the same strides, of its own memory or a value into another's.
    const auto make = [&](torch::ScalarType dtype, double scale) {
      const auto options = torch::TensorOptions().dtype(dtype).device(device);
      const auto memory = torch::empty({like.numel() + 1}, options);
      const auto made = memory.as_strided(like.sizes(), like.strides(), aligned ? 0 : 1);
      made.copy_(scale * torch::randn(like.sizes(), torch::kFloat64));
      return made;
    };
    ParameterUpdate update;
    update.parameter = make(wide, 1.0);
    update.gradient = make(of.narrow, of.scaled ? kScale : 1.0);
    const bool adam = of.rule.kind != UpdateKind::sgd;
    if (adam || of.rule.momentum > 0) update.first = make(wide, 0.1);
    if (adam) update.second = make(wide, 0.1).abs_();
    if (of.copies) update.copy = make(of.narrow, 1.0);
    updates.push_back(update);
  };
  for (const bool aligned : {true, false}) {
    for (const std::int64_t size : {0, 1, 10, 19, 8191, 8192, 16385}) {
      add(torch::empty({size}), aligned);
    }
    add(torch::empty({}), aligned);
    add(torch::empty({10, 19, 3, 3}).contiguous(torch::MemoryFormat::ChannelsLast), aligned);
  }
  for (int i = 0; i < 40; ++i) add(torch::empty({i % 7}), i % 3 > 0);
  updates[1].gradient.fill_(std::numeric_limits<double>::quiet_NaN());
  updates[2].gradient.view(-1)[3] = std::numeric_limits<double>::infinity();
  return updates;
}

void expect_update(const UpdateCase& of, const torch::Device& device) {
  SCOPED_TRACE(of.name());
  torch::manual_seed(3);
  auto updates = updates_of(of, device);
  const auto wide = torch::TensorOptions().dtype(torch::kFloat32).device(device);
  const UpdateScalars scalars{
      .lr = torch::full({}, kRate, wide.dtype(device.is_cpu() ? torch::kFloat64 : torch::kFloat32)),
      .step = torch::zeros({}, wide),
      .inverse_scale = of.scaled ? torch::full({1}, 1.0 / kScale, wide) : torch::Tensor(),
      .found_inf = of.scaled ? torch::zeros({1}, wide) : torch::Tensor()};
  Reference reference(updates);
  const auto expect_equal = [&] {
    for (std::size_t i = 0; i < updates.size(); ++i) {
      SCOPED_TRACE(testing::Message() << "parameter " << i);
      expect_near(updates[i].parameter, reference.parameters[i]);
      if (updates[i].first.defined()) expect_near(updates[i].first, reference.first[i]);
      if (updates[i].second.defined()) expect_near(updates[i].second, reference.second[i]);
      if (!of.copies) continue;
      EXPECT_TRUE(torch::allclose(updates[i].copy, updates[i].parameter.to(of.narrow), 0, 0, true));
    }
  };
  for (int step = 1; step <= 3; ++step) {
    for (auto& update : updates) update.gradient.mul_(0.7);
    scalars.step.add_(1);
    fused_update(updates, of.rule, scalars);
    reference.step(of, updates, step);
    expect_equal();
  }
  if (!of.scaled) return;
  scalars.found_inf.fill_(1.0);
  std::vector<torch::Tensor> before;
  for (const auto& update : updates) before.push_back(update.parameter.clone());
  fused_update(updates, of.rule, scalars);
  for (std::size_t i = 0; i < updates.size(); ++i) {
    EXPECT_TRUE(torch::allclose(updates[i].parameter, before[i], 0, 0, true));
  }
  expect_equal();
}

}  // namespace xception
