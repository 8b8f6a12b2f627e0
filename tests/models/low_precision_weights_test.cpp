// Networks that compute with copies of their weights against the same under autocast alone.

#include "xception/models/low_precision_weights.h"

#include <ATen/autocast_mode.h>
#include <c10/core/MemoryFormat.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <string>

#include "xception/models/kernel_choice.h"
#include "xception/models/registry.h"
#include "xception/models/xception.h"

namespace xception {
namespace {

struct Trial {
  std::string model;
  Kernels kernels = Kernels::fused;
};

class LowPrecisionNetwork : public testing::TestWithParam<Trial> {
 protected:
  LowPrecisionNetwork() {
    torch::manual_seed(1);
    ModelConfig config;
    config.name = GetParam().model;
    if (config.name == "xception") {
      config.own<WidthOptions>().width = 0.25;
      config.own<XceptionOptions>().middle_blocks = 1;
    }
    const std::int64_t size = config.name == "xception" ? 71 : 75;
    images_ = torch::randn({4, 3, size, size})
                  .to(torch::kBFloat16)
                  .contiguous(torch::MemoryFormat::ChannelsLast);
    model_ = build_model(config);
    use_kernels(*model_, GetParam().kernels);
    for (auto& parameter : model_->parameters()) {
      if (parameter.dim() < 4) continue;
      const auto strides = c10::get_channels_last_strides_2d(parameter.sizes());
      auto placed = torch::empty_strided(parameter.sizes(), strides, parameter.options());
      parameter.set_data(placed.copy_(parameter));
    }
  }

  /// The loss of a pass under autocast; gradients are left where they belong.
  torch::Tensor pass(LowPrecisionWeights* copies) {
    torch::manual_seed(2);  // dropout
    at::autocast::set_autocast_enabled(at::kCPU, true);
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
    torch::Tensor loss;
    {
      std::unique_ptr<LowPrecisionWeights::Use> use;
      if (copies != nullptr) use = std::make_unique<LowPrecisionWeights::Use>(*copies);
      loss = model_->forward(images_).logits.to(torch::kFloat32).pow(2).sum();
    }
    at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(at::kCPU, false);
    loss.backward();
    return loss.detach();
  }

  std::shared_ptr<Classifier> model_;
  torch::Tensor images_;
};

TEST_P(LowPrecisionNetwork, GivesAutocastsLossAndGradientsBitForBit) {
  const auto expected = pass(nullptr);
  std::vector<torch::Tensor> gradients;
  for (auto& parameter : model_->parameters()) {
    gradients.push_back(parameter.grad());
    parameter.mutable_grad() = torch::Tensor();
  }
  LowPrecisionWeights low_precision(*model_, torch::kBFloat16);
  EXPECT_TRUE(torch::equal(pass(&low_precision), expected));
  const auto parameters = model_->named_parameters();
  std::int64_t copied = 0;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    SCOPED_TRACE(parameters[i].key());
    const auto& parameter = parameters[i].value();
    EXPECT_EQ(parameter.scalar_type(), torch::kFloat32);
    const auto copy = low_precision.of(parameter);
    // All that is trained but BatchNorms and depthwise convolutions.
    const bool of_linear = parameters[i].key().starts_with("fc.");
    const bool of_convolution = parameter.dim() == 4 && parameter.size(1) > 1;
    EXPECT_EQ(copy.defined(), (of_linear || of_convolution) && parameter.requires_grad());
    copied += copy.defined() ? 1 : 0;
    ASSERT_EQ(gradients[i].defined(), parameter.requires_grad());
    if (!gradients[i].defined()) continue;
    if (copy.defined()) {
      EXPECT_FALSE(parameter.grad().defined());
      EXPECT_EQ(copy.grad().scalar_type(), torch::kBFloat16);
      EXPECT_EQ(copy.grad().strides(), parameter.strides());
    }
    const auto found = copy.defined() ? copy.grad().to(torch::kFloat32) : parameter.grad();
    EXPECT_TRUE(torch::equal(found, gradients[i]));
  }
  EXPECT_EQ(static_cast<std::int64_t>(low_precision.gradients().size()), copied);
  EXPECT_GT(copied, 5);
  low_precision.clear_gradients();
  EXPECT_TRUE(low_precision.gradients().empty());
}

TEST_P(LowPrecisionNetwork, ReadsParametersAgainWhenRefreshed) {
  LowPrecisionWeights low_precision(*model_, torch::kBFloat16);
  const auto before = pass(&low_precision);
  {
    const torch::NoGradGuard no_grad;
    for (auto& parameter : model_->parameters()) parameter.mul_(1.25);
  }
  low_precision.refresh();
  const auto after = pass(&low_precision);
  EXPECT_FALSE(torch::equal(after, before));
  EXPECT_TRUE(torch::equal(pass(nullptr), after));
}

INSTANTIATE_TEST_SUITE_P(Networks, LowPrecisionNetwork,
                         testing::Values(Trial{"xception"}, Trial{"inception_v3"},
                                         Trial{"xception", Kernels::reference},
                                         Trial{"inception_v3", Kernels::reference}),
                         [](const auto& trial) {
                           return trial.param.model +
                                  (trial.param.kernels == Kernels::fused ? "_fused" : "_reference");
                         });

}  // namespace
}  // namespace xception
