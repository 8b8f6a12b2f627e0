// The networks with fused kernels against the same networks of plain LibTorch operations.

#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/function.h>
#include <torch/nn/functional/loss.h>
#include <torch/utils.h>

#include <algorithm>
#include <string>
#include <vector>

#include "models/module_state.h"
#include "xception/core/error.h"
#include "xception/models/complexity.h"
#include "xception/models/kernel_choice.h"
#include "xception/models/registry.h"
#include "xception/models/xception.h"
#include "xception/parallel/device.h"

namespace xception {
namespace {

struct Network {
  ModelConfig config = {};
  std::int64_t image_size = 71;
};

Network small_xception(const std::string& variant = "paper") {
  Network network;
  network.config.variant = variant;
  network.config.own<WidthOptions>().width = 0.125;
  network.config.own<XceptionOptions>().middle_blocks = 1;
  return network;
}

Network inception() {
  Network network{.image_size = 75};
  network.config.name = "inception_v3";
  network.config.dropout = 0.0;
  network.config.aux_logits = false;
  network.config.aux_weight = 0.0;
  return network;
}

torch::Tensor images(std::int64_t batch, std::int64_t size, torch::Dtype dtype) {
  return torch::randn({batch, 3, size, size}, torch::kFloat64)
      .to(dtype)
      .contiguous(torch::MemoryFormat::ChannelsLast);
}

/// Logits, loss, gradients and buffers after one pass.
TensorMap one_pass(const Network& network, Kernels kernels, bool training) {
  torch::manual_seed(5);
  const auto model = build_model(network.config);
  make_double(*model);
  // Statistics other than 0 and 1, gradients through every branch.
  for (auto& buffer : model->buffers()) {
    if (buffer.is_floating_point()) buffer.add_(torch::rand_like(buffer));
  }
  use_kernels(*model, kernels);
  model->train(training);
  const auto x = images(3, network.image_size, torch::kFloat64);
  const auto logits = model->forward(x).logits;
  const auto loss = torch::nn::functional::cross_entropy(logits, torch::tensor({1, 0, 2}));
  loss.backward();
  TensorMap result = module_state(*model);
  result["logits"] = logits.detach();
  result["loss"] = loss.detach();
  for (const auto& item : model->named_parameters()) {
    if (item.value().grad().defined()) result["gradient of " + item.key()] = item.value().grad();
  }
  return result;
}

void expect_equal_passes(const Network& network) {
  for (const bool training : {true, false}) {
    const auto reference = one_pass(network, Kernels::reference, training);
    const auto fused = one_pass(network, Kernels::fused, training);
    ASSERT_EQ(fused.size(), reference.size());
    const double largest = reference.at("gradient of fc.weight").norm().item<double>();
    for (const auto& [name, wanted] : reference) {
      // Biases before a BatchNorm have a gradient of rounding errors alone.
      if (wanted.is_floating_point() && wanted.norm().item<double>() < 1e-9 * largest) continue;
      EXPECT_LE(relative_error(fused.at(name), wanted), 1e-9) << name << ", training " << training;
    }
  }
}

TEST(FusedModels, XceptionEqualsReference) {
  expect_equal_passes(small_xception());
  expect_equal_passes(small_xception("notebook"));
}

TEST(FusedModels, XceptionsOptionsEqualReference) {
  auto pointwise = small_xception();
  pointwise.config.own<XceptionOptions>().separable_order = "pointwise_first";
  expect_equal_passes(pointwise);
  auto between = small_xception();
  between.config.own<XceptionOptions>().intermediate_activation = "elu";
  between.config.own<XceptionOptions>().residual = false;
  expect_equal_passes(between);
}

TEST(FusedModels, InceptionEqualsReference) {
  expect_equal_passes(inception());
}

TEST(FusedModels, TorchvisionsOthersEqualReference) {
  for (const auto& [name, size] :
       {std::pair{"resnet18", 33}, std::pair{"resnet9", 16}, std::pair{"googlenet", 63}}) {
    Network network{.image_size = size};
    network.config.name = name;
    network.config.dropout = 0.0;
    network.config.aux_weight = 0.0;
    SCOPED_TRACE(name);
    expect_equal_passes(network);
  }
}

/// The names of the operations behind a result.
std::vector<std::string> operations_of(const torch::Tensor& logits) {
  std::vector<std::string> found;
  std::vector<torch::autograd::Node*> open{logits.grad_fn().get()};
  for (std::size_t i = 0; i < open.size() && open.size() < 100000; ++i) {
    found.push_back(open[i]->name());
    for (const auto& edge : open[i]->next_edges()) {
      auto* node = edge.function.get();
      if (node != nullptr && std::find(open.begin(), open.end(), node) == open.end()) {
        open.push_back(node);
      }
    }
  }
  return found;
}

std::int64_t count(const std::vector<std::string>& all, const std::string& part) {
  return std::count_if(all.begin(), all.end(), [&](const std::string& name) {
    return name.find(part) != std::string::npos;
  });
}

// The other tests would pass if nothing were ever fused.
TEST(FusedModels, RunFusedOperations) {
  const auto model = build_model(small_xception().config);
  use_kernels(*model, Kernels::fused);
  const auto found = operations_of(model->forward(images(2, 71, torch::kFloat32)).logits);
  EXPECT_EQ(count(found, "BatchNorm"), 0);
  EXPECT_EQ(count(found, "MaxPool2DWithIndices"), 0);
  EXPECT_EQ(count(found, "BnDepthwise"), 7);
  EXPECT_EQ(count(found, "MaxPool"), 4);
}

TEST(FusedModels, ResNetsUnitsAreFused) {
  Network network{.image_size = 64};
  network.config.name = "resnet18";
  const auto model = build_model(network.config);
  use_kernels(*model, Kernels::fused);
  const auto found = operations_of(model->forward(images(2, 64, torch::kFloat32)).logits);
  EXPECT_EQ(count(found, "NativeBatchNorm"), 0);
  EXPECT_EQ(count(found, "Relu"), 0);
  EXPECT_EQ(count(found, "AddBackward"), 0);
  EXPECT_EQ(count(found, "BnAct"), 20);
}

TEST(FusedModels, AreChosenByName) {
  EXPECT_EQ(parse_kernels("auto"), std::nullopt);
  EXPECT_EQ(parse_kernels("reference"), Kernels::reference);
  EXPECT_EQ(parse_kernels("fused"), Kernels::fused);
  EXPECT_THROW((void)parse_kernels("fast"), Error);
}

TEST(FusedModels, MergeInceptionsBranches) {
  const auto model = build_model(inception().config);
  use_kernels(*model, Kernels::fused);
  const auto found = operations_of(model->forward(images(2, 75, torch::kFloat32)).logits);
  EXPECT_EQ(count(found, "NativeBatchNorm"), 0);
  EXPECT_EQ(count(found, "AvgPool2D"), 0);
  EXPECT_EQ(count(found, "Cat"), 0);
  EXPECT_EQ(count(found, "Slice"), 11);  // BnSlices, one a block; nothing else slices
  EXPECT_EQ(count(found, "BnConcat"), 11);
  EXPECT_EQ(count(found, "Convolution"), 94 - 40 + 1);  // of the 1x1, that of the stem
}

struct Pass {
  torch::Tensor logits, gradients;  ///< gradients: of all parameters, flat
};

/// Inception's, in float64 or under autocast to bfloat16.
Pass inception_pass(Kernels kernels, bool bfloat16, bool training) {
  torch::manual_seed(5);
  const auto model = build_model(inception().config);
  if (!bfloat16) make_double(*model);
  use_kernels(*model, kernels);
  model->train(training);
  const auto x = images(4, 107, torch::kFloat64).to(bfloat16 ? torch::kFloat32 : torch::kFloat64);
  at::autocast::set_autocast_enabled(torch::kCPU, bfloat16);
  at::autocast::set_autocast_dtype(torch::kCPU, torch::kBFloat16);
  const auto logits = model->forward(x).logits;
  at::autocast::set_autocast_enabled(torch::kCPU, false);
  at::autocast::clear_cache();
  torch::nn::functional::cross_entropy(logits.to(torch::kFloat64), torch::tensor({1, 0, 2, 3}))
      .backward();
  std::vector<torch::Tensor> gradients;
  for (const auto& parameter : model->parameters()) {
    gradients.push_back(parameter.grad().flatten().to(torch::kFloat64));
  }
  return {.logits = logits.detach().to(torch::kFloat64), .gradients = torch::cat(gradients)};
}

TEST(FusedModels, InceptionInBfloat16IsAsCloseAsReference) {
  for (const bool training : {true, false}) {
    const auto exact = inception_pass(Kernels::reference, false, training);
    const auto reference = inception_pass(Kernels::reference, true, training);
    const auto fused = inception_pass(Kernels::fused, true, training);
    const auto compare = [&](const std::string& what, torch::Tensor Pass::*values) {
      const double wanted = relative_error(reference.*values, exact.*values);
      const double actual = relative_error(fused.*values, exact.*values);
      EXPECT_LE(actual, 1.5 * wanted) << what << ", training " << training;
    };
    compare("logits", &Pass::logits);
    // In training, bfloat16 leaves nothing of a new network's gradients to compare.
    if (!training) compare("gradients", &Pass::gradients);
  }
}

TEST(FusedModels, AreCountedAsReference) {
  const auto model = build_model(small_xception().config);
  const auto plain = count_complexity(*model, 71);
  use_kernels(*model, Kernels::fused);
  const auto fused = count_complexity(*model, 71);
  EXPECT_EQ(fused.multiply_adds, plain.multiply_adds);
  EXPECT_EQ(fused.activations, plain.activations);
}

TEST(FusedModels, InceptionIsCountedAsReference) {
  const auto model = build_model(inception().config);
  const auto plain = count_complexity(*model, 75);
  use_kernels(*model, Kernels::fused);
  EXPECT_EQ(count_complexity(*model, 75).multiply_adds, plain.multiply_adds);
  EXPECT_EQ(count_complexity(*model, 75).activations, plain.activations);
}

TEST(FusedModels, ContiguousImagesWork) {
  for (const auto& network : {small_xception(), inception()}) {
    const auto model = build_model(network.config);
    use_kernels(*model, Kernels::fused);
    const auto x = torch::randn({2, 3, network.image_size, network.image_size});
    EXPECT_TRUE(torch::isfinite(model->forward(x).logits).all().item<bool>());
  }
}

}  // namespace
}  // namespace xception
