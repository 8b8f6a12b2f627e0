// Networks whose convolutions do their BatchNorm's work against the same networks as they are.

#include "xception/models/fold.h"

#include <gtest/gtest.h>
#include <torch/utils.h>

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "models/module_state.h"
#include "xception/models/registry.h"
#include "xception/models/xception.h"

namespace xception {
namespace {

struct Case {
  std::string name;
  ModelConfig config = {};
  std::int64_t image_size = 71;
};

Case xception(const std::string& name) {
  Case of{.name = name};
  of.config.own<WidthOptions>().width = 0.125;
  of.config.own<XceptionOptions>().middle_blocks = 1;
  return of;
}

std::vector<Case> cases() {
  std::vector<Case> all{xception("xception"), xception("notebook"), xception("pointwise first"),
                        xception("activation between")};
  all[1].config.variant = "notebook";
  all[2].config.own<XceptionOptions>().separable_order = "pointwise_first";
  all[3].config.own<XceptionOptions>().intermediate_activation = "elu";
  all[3].config.own<XceptionOptions>().residual = false;
  Case inception{.name = "inception_v3", .image_size = 75};
  inception.config.name = "inception_v3";
  all.push_back(inception);
  for (const auto& [name, size] :
       {std::pair{"resnet18", 33}, std::pair{"resnet9", 16}, std::pair{"googlenet", 47}}) {
    Case other{.name = name, .image_size = size};
    other.config.name = name;
    all.push_back(other);
  }
  return all;
}

/// In evaluation mode, with statistics as training leaves them.
std::shared_ptr<Classifier> trained(const Case& of, torch::ScalarType dtype) {
  torch::manual_seed(3);
  auto model = build_model(of.config);
  if (dtype == torch::kFloat64) make_double(*model);
  for (const auto& module : model->modules()) {
    if (auto* norm = module->as<BatchNorm2dImpl>()) {
      const torch::NoGradGuard no_grad;
      for (auto* values : {&norm->weight, &norm->running_var}) values->uniform_(0.5, 1.5);
      for (auto* values : {&norm->bias, &norm->running_mean}) values->uniform_(-0.5, 0.5);
    }
  }
  model->eval();
  return model;
}

torch::Tensor images(const Case& of, torch::ScalarType dtype) {
  return torch::randn({3, 3, of.image_size, of.image_size}, dtype)
      .contiguous(torch::MemoryFormat::ChannelsLast);
}

TEST(FoldedBatchNorms, LeaveTheLogits) {
  const torch::NoGradGuard no_grad;
  for (const auto& of : cases()) {
    for (const auto kernels : {Kernels::reference, Kernels::fused}) {
      const auto model = trained(of, torch::kFloat64);
      use_kernels(*model, kernels);
      const auto x = images(of, torch::kFloat64);
      const auto plain = model->forward(x).logits;
      const auto copy = x.clone();
      const FoldedBatchNorms folded(*model, torch::kFloat64);
      EXPECT_LE(relative_error(model->forward(x).logits, plain), 1e-11) << of.name;
      EXPECT_TRUE(torch::equal(x, copy)) << of.name;
    }
  }
}

TEST(FoldedBatchNorms, AreNotFoldedTwice) {
  const torch::NoGradGuard no_grad;
  const auto of = cases().front();
  const auto model = trained(of, torch::kFloat64);
  const auto x = images(of, torch::kFloat64);
  const auto plain = model->forward(x).logits;
  const FoldedBatchNorms outer(*model, torch::kFloat64);
  { const FoldedBatchNorms inner(*model, torch::kFloat64); }
  EXPECT_LE(relative_error(model->forward(x).logits, plain), 1e-11);
}

TEST(FoldedBatchNorms, ForgetNone) {
  for (const auto& of : cases()) {
    const auto model = trained(of, torch::kFloat32);
    const FoldedBatchNorms folded(*model, torch::kFloat32);
    for (const auto& item : model->named_modules()) {
      if (const auto* norm = item.value()->as<BatchNorm2dImpl>()) {
        EXPECT_TRUE(norm->folded()) << of.name << ": " << item.key();
      }
    }
  }
}

TEST(FoldedBatchNorms, GiveEverythingBack) {
  const torch::NoGradGuard no_grad;
  for (const auto& of : cases()) {
    const auto model = trained(of, torch::kFloat32);
    const auto x = images(of, torch::kFloat32);
    const auto before = model->forward(x).logits;
    const auto state = module_state(*model);
    {
      const FoldedBatchNorms folded(*model, torch::kBFloat16);
      // What is saved meanwhile is the model's own.
      for (const auto& [name, value] : module_state(*model)) {
        EXPECT_TRUE(torch::equal(value, state.at(name))) << of.name << ": " << name;
      }
    }
    EXPECT_TRUE(torch::equal(model->forward(x).logits, before)) << of.name;
  }
}

}  // namespace
}  // namespace xception
