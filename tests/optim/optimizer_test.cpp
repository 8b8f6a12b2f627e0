#include "xception/optim/optimizer.h"

#include <gtest/gtest.h>

#include "support/python.h"
#include "xception/core/error.h"
#include "xception/optim/gradient_scaler.h"
#include "xception/optim/schedule.h"

namespace xception {
namespace {

constexpr int kSteps = 20;
const std::vector<std::string> kNames = {"bias", "conv", "depthwise", "linear", "pointwise"};

/// What torch.optim computed, once for all tests.
const TensorMap& pytorch() {
  static const TensorMap tensors = run_python("export_optim.py");
  return tensors;
}

torch::Tensor in_format(const torch::Tensor& tensor, torch::MemoryFormat format) {
  return tensor.dim() == 4 ? tensor.contiguous(format) : tensor.clone();
}

NamedParameters start_of(const std::string& rule, torch::MemoryFormat format) {
  NamedParameters parameters;
  for (const auto& name : kNames) {
    auto parameter = in_format(pytorch().at(rule + "/start/" + name), format).clone();
    parameters.emplace_back(name, parameter.requires_grad_());
  }
  return parameters;
}

/// Largest relative error of the parameters after the script's steps.
double error_after_steps(const OptimizerConfig& config, torch::MemoryFormat parameter_format,
                         torch::MemoryFormat gradient_format, bool through_checkpoint = false) {
  const auto parameters = start_of(config.name, parameter_format);
  auto optimizer = build_optimizer(config, parameters);
  const auto lr = torch::full({}, config.lr, torch::kFloat64);
  for (int step = 0; step < kSteps; ++step) {
    for (const auto& [name, parameter] : parameters) {
      parameter.mutable_grad() =
          in_format(pytorch().at(config.name + "/grad/" + std::to_string(step) + "/" + name),
                    gradient_format);
    }
    optimizer->step(lr, {});
    if (through_checkpoint && step == 7) {
      // A new optimizer takes over from the saved state.
      State saved = optimizer->state();
      for (auto& [name, tensor] : saved.tensors) tensor = tensor.clone();
      optimizer = build_optimizer(config, parameters);
      optimizer->load_state(saved);
    }
  }
  double largest = 0.0;
  for (const auto& [name, parameter] : parameters) {
    const auto& expected = pytorch().at(config.name + "/after/" + name);
    largest = std::max(largest, ((parameter - expected).norm() / expected.norm()).item<double>());
  }
  return largest;
}

OptimizerConfig rule(const std::string& name) {
  OptimizerConfig config;
  config.name = name;
  config.lr = 1e-2;
  config.weight_decay = name == "adamw" ? 1e-1 : 1e-2;
  return config;
}

TEST(Optimizer, EqualsPyTorch) {
  for (const auto* name : {"adam", "adamw", "sgd"}) {
    EXPECT_LE(error_after_steps(rule(name), torch::MemoryFormat::Contiguous,
                                torch::MemoryFormat::Contiguous),
              1e-12)
        << name;
  }
}

TEST(Optimizer, MemoryFormatsMayDiffer) {
  // The fused CPU kernels walk storage: parameters and gradients in different orders would be
  // paired wrongly without a word.
  for (const auto* name : {"adam", "adamw", "sgd"}) {
    EXPECT_LE(error_after_steps(rule(name), torch::MemoryFormat::ChannelsLast,
                                torch::MemoryFormat::ChannelsLast),
              1e-12)
        << name;
    EXPECT_LE(error_after_steps(rule(name), torch::MemoryFormat::ChannelsLast,
                                torch::MemoryFormat::Contiguous),
              1e-12)
        << name;
  }
}

TEST(Optimizer, GoesOnFromItsState) {
  for (const auto* name : {"adam", "adamw", "sgd"}) {
    EXPECT_LE(error_after_steps(rule(name), torch::MemoryFormat::ChannelsLast,
                                torch::MemoryFormat::ChannelsLast, /*through_checkpoint=*/true),
              1e-12)
        << name;
  }
}

TEST(Optimizer, FoundInfSkipsTheStepAndItsCount) {
  for (const auto* name : {"adam", "adamw", "sgd"}) {
    auto config = rule(name);
    const auto weight = torch::ones({4}).requires_grad_();
    const auto optimizer = build_optimizer(config, {{"weight", weight}});
    const auto lr = torch::full({}, config.lr, torch::kFloat64);
    weight.mutable_grad() = torch::full({4}, std::numeric_limits<float>::infinity());
    optimizer->step(lr, torch::ones({1}));
    EXPECT_TRUE(weight.equal(torch::ones({4}))) << name;
    weight.mutable_grad() = torch::ones({4});
    optimizer->step(lr, torch::zeros({1}));
    EXPECT_TRUE(weight.isfinite().all().item<bool>()) << name;
    EXPECT_FALSE(weight.equal(torch::ones({4}))) << name;
    if (config.name != "sgd") {
      EXPECT_EQ(optimizer->state().tensors.at("step").item<float>(), 1.0F) << name;
    }
  }
}

TEST(Optimizer, ParametersWithoutGradientStay) {
  const auto used = torch::ones({3}).requires_grad_();
  const auto idle = torch::ones({3}).requires_grad_();
  const auto optimizer = build_optimizer(rule("adam"), {{"used", used}, {"idle", idle}});
  used.mutable_grad() = torch::ones({3});
  optimizer->step(torch::full({}, 0.1, torch::kFloat64), {});
  EXPECT_TRUE(idle.equal(torch::ones({3})));
  EXPECT_FALSE(used.equal(torch::ones({3})));
}

TEST(ClipGradients, EqualsPyTorch) {
  std::vector<torch::Tensor> clipped;
  for (const auto& name : kNames) clipped.push_back(pytorch().at("clip/grad/" + name).clone());
  const auto norm = clip_gradients(clipped, 1.5);
  EXPECT_NEAR(norm.item<double>(), pytorch().at("clip/norm").item<double>(), 1e-12);
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    EXPECT_LE((clipped[i] - pytorch().at("clip/clipped/" + kNames[i])).abs().max().item<double>(),
              1e-14);
  }
  // Small gradients pass unchanged.
  std::vector<torch::Tensor> small = {torch::full({2}, 1e-3, torch::kFloat64)};
  clip_gradients(small, 1.5);
  EXPECT_TRUE(small[0].equal(torch::full({2}, 1e-3, torch::kFloat64)));
}

TEST(GradientScaler, FollowsPyTorchs) {
  const auto& bad = pytorch().at("scaler/bad");
  const auto& scales = pytorch().at("scaler/scale");
  const auto& weights = pytorch().at("scaler/weight");
  GradientScaler scaler(true, torch::kCPU);
  const auto weight = torch::ones({3}).requires_grad_();
  OptimizerConfig config;
  config.name = "sgd";
  std::set<std::string> given;
  read_keys({{"momentum", 0.0}}, "test", "optimizer", config.keys(), given);
  const auto optimizer = build_optimizer(config, {{"weight", weight}});
  const auto lr = torch::full({}, 0.1, torch::kFloat64);
  for (std::int64_t i = 0; i < bad.size(0); ++i) {
    weight.mutable_grad() = torch::Tensor();
    scaler.scale(weight.sum()).backward();
    if (bad[i].item<std::int64_t>() != 0) {
      weight.mutable_grad()[1] = std::numeric_limits<float>::infinity();
    }
    std::vector<torch::Tensor> grads = {weight.grad()};
    scaler.unscale(grads);
    optimizer->step(lr, scaler.found_inf());
    scaler.update();
    ASSERT_EQ(scaler.state().tensors.at("scale").item<double>(), scales[i].item<double>()) << i;
    ASSERT_NEAR(weight[0].item<double>(), weights[i].item<double>(),
                1e-5 * std::abs(weights[i].item<double>()) + 1e-5)
        << i;
  }
}

TEST(GradientScaler, OffPassesThrough) {
  GradientScaler scaler(false, torch::kCPU);
  const auto loss = torch::full({}, 3.0);
  EXPECT_TRUE(scaler.scale(loss).equal(loss));
  EXPECT_FALSE(scaler.found_inf().defined());
  EXPECT_TRUE(scaler.state().tensors.empty());
}

ScheduleConfig schedule_of(const nlohmann::json& json) {
  ScheduleConfig schedule;
  std::set<std::string> given;
  read_keys(json, "test", "schedule", schedule.keys(), given);
  return schedule;
}

TEST(Optimizer, AdamwAloneBoundsTheDecayOfAStep) {
  OptimizerConfig config;
  std::set<std::string> given;
  read_keys({{"name", "adamw"}, {"lr", 0.5}, {"weight_decay", 2.0}}, "test", "optimizer",
            config.keys(), given);
  EXPECT_THROW(check_optimizer(config), Error);
  config.name = "adam";
  EXPECT_NO_THROW(check_optimizer(config));
  config.name = "lamb";
  EXPECT_THROW((void)build_optimizer(config, {}), Error);
}

TEST(Schedule, SaysWhetherALongerRunHasOtherRates) {
  for (const auto* name : {"constant", "cosine", "step"}) {
    ScheduleConfig schedule;
    schedule.name = name;
    const bool differ =
        learning_rates(schedule, 0.1, 1, 5, 4) != learning_rates(schedule, 0.1, 1, 5, 8);
    EXPECT_EQ(depends_on_epochs(schedule), differ) << name;
  }
}

TEST(Schedule, UnknownIsAnError) {
  ScheduleConfig schedule;
  schedule.name = "linear";
  EXPECT_THROW((void)learning_rate(schedule, 0.1, 0, 10, 5), Error);
}

TEST(Schedule, Constant) {
  EXPECT_EQ(learning_rate({}, 0.1, 0, 10, 5), 0.1);
  EXPECT_EQ(learning_rate({}, 0.1, 49, 10, 5), 0.1);
}

TEST(Schedule, WarmupRisesThenHolds) {
  ScheduleConfig schedule;
  schedule.warmup_epochs = 1;
  EXPECT_NEAR(learning_rate(schedule, 0.11, 0, 10, 5), 0.01, 1e-15);
  EXPECT_NEAR(learning_rate(schedule, 0.11, 9, 10, 5), 0.10, 1e-15);
  EXPECT_EQ(learning_rate(schedule, 0.11, 10, 10, 5), 0.11);
}

TEST(Schedule, CosineFallsToTheMinimum) {
  const auto schedule = schedule_of({{"name", "cosine"}, {"min_lr", 0.01}});
  EXPECT_NEAR(learning_rate(schedule, 0.1, 0, 10, 4), 0.1, 1e-15);
  EXPECT_NEAR(learning_rate(schedule, 0.1, 20, 10, 4), 0.055, 1e-15);
  EXPECT_NEAR(learning_rate(schedule, 0.1, 40, 10, 4), 0.01, 1e-15);
}

TEST(Schedule, StepIsThePapers) {
  ScheduleConfig schedule;
  schedule.name = "step";
  EXPECT_EQ(learning_rate(schedule, 0.045, 19, 10, 9), 0.045);
  EXPECT_NEAR(learning_rate(schedule, 0.045, 20, 10, 9), 0.045 * 0.94, 1e-15);
  EXPECT_NEAR(learning_rate(schedule, 0.045, 65, 10, 9), 0.045 * 0.94 * 0.94 * 0.94, 1e-15);
  EXPECT_EQ(learning_rates(schedule, 0.045, 1, 10, 9).size(), 10U);
}

}  // namespace
}  // namespace xception
