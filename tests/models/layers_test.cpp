#include "xception/models/layers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include <array>
#include <cmath>
#include <string>

#include "xception/core/error.h"
#include "xception/models/xception.h"

namespace xception {
namespace {

using testing::HasSubstr;

TEST(Activation, HasItsFormula) {
  const auto x = torch::linspace(-4.0, 4.0, 33, torch::kDouble);
  const auto zero = torch::zeros_like(x);
  const auto sigmoid = 1.0 / (1.0 + (-x).exp());
  const auto softplus = (1.0 + x.exp()).log();
  const std::array<std::pair<const char*, torch::Tensor>, 8> expected = {
      {{"none", x},
       {"relu", torch::maximum(x, zero)},
       {"elu", torch::where(x > 0, x, x.exp() - 1.0)},
       {"gelu", 0.5 * x * (1.0 + torch::erf(x / std::sqrt(2.0)))},
       {"silu", x * sigmoid},
       {"leaky_relu", torch::where(x > 0, x, 0.01 * x)},
       {"mish", x * softplus.tanh()},
       {"hardswish", x * (x + 3.0).clamp(0.0, 6.0) / 6.0}}};
  ASSERT_EQ(activation_names().size(), expected.size());
  for (const auto& [name, y] : expected) {
    const auto before = x.clone();
    EXPECT_TRUE(torch::allclose(parse_activation(name)(x), y, 1e-12, 1e-12)) << name;
    EXPECT_TRUE(torch::equal(x, before)) << name << " changed its input";
  }
}

TEST(Activation, UnknownNamesAreInputErrors) {
  try {
    static_cast<void>(parse_activation("Relu"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::input);
    EXPECT_STREQ(error.what(),
                 "[models] activation \"Relu\": expected none, relu, elu, gelu, silu, leaky_relu, "
                 "mish or hardswish");
  }
  EXPECT_THROW(static_cast<void>(parse_separable_order("pointwise")), Error);
}

TEST(SamePadding, IsTensorFlows) {
  // Its rule: the result has a size of n / 2, rounded up; what the windows lack is added, the
  // larger part at the end.
  for (const std::int64_t height : {6, 7}) {
    for (const std::int64_t width : {8, 9}) {
      const auto x = torch::randn({2, 8, height, width}) - 5.0;  // below the zeros around it
      const auto shortcut = torch::randn({2, 8, (height + 1) / 2, (width + 1) / 2});
      const auto missing = [](std::int64_t n) { return ((n + 1) / 2 - 1) * 2 + 3 - n; };
      const auto padded =
          torch::constant_pad_nd(x,
                                 {missing(width) / 2, missing(width) - missing(width) / 2,
                                  missing(height) / 2, missing(height) - missing(height) / 2},
                                 -1e30);
      const auto expected = torch::max_pool2d(padded, 3, 2) + shortcut;
      for (const auto kernels : {Kernels::reference, Kernels::fused}) {
        for (const auto format :
             {torch::MemoryFormat::Contiguous, torch::MemoryFormat::ChannelsLast}) {
          const auto y = pool_add_same(x.contiguous(format), shortcut.contiguous(format), kernels);
          EXPECT_TRUE(torch::equal(y, expected)) << height << " x " << width;
        }
      }
    }
  }
  const auto ones = same_padded(torch::ones({1, 1, 2, 3}), 0.0);
  EXPECT_EQ(ones.sizes(), (std::vector<std::int64_t>{1, 1, 3, 5}));
  EXPECT_EQ(ones[0][0][2].sum().item<float>(), 0.0F);
  EXPECT_EQ(ones[0][0][0][0].item<float>(), 0.0F);
  EXPECT_EQ(ones.sum().item<float>(), 6.0F);
}

TEST(SeparableConv, OrdersAndActivation) {
  for (const auto order : {SeparableOrder::depthwise_first, SeparableOrder::pointwise_first}) {
    SeparableConv layer(8, 16, order, parse_activation("elu"));
    const auto weights = layer->named_parameters();
    ASSERT_EQ(weights.size(), 2U);
    const auto& depthwise = weights["conv1.weight"];
    const auto& pointwise = weights["pointwise.weight"];
    const bool depthwise_first = order == SeparableOrder::depthwise_first;
    EXPECT_EQ(depthwise.sizes(), (std::vector<std::int64_t>{depthwise_first ? 8 : 16, 1, 3, 3}));
    EXPECT_EQ(pointwise.sizes(), (std::vector<std::int64_t>{16, 8, 1, 1}));

    const auto x = torch::randn({2, 8, 5, 7});
    const auto expected =
        depthwise_first ? at::conv2d(at::elu(at::conv2d(x, depthwise, {}, 1, 1, 1, 8)), pointwise)
                        : at::conv2d(at::elu(at::conv2d(x, pointwise)), depthwise, {}, 1, 1, 1, 16);
    EXPECT_TRUE(torch::equal(layer->forward(x), expected));
  }
}

TEST(Features, AreNormalizedThenActivated) {
  BatchNorm2d bn(torch::nn::BatchNorm2dOptions(3));
  const auto value = [&](const torch::Tensor& x, const char* activation) {
    Features features(x, bn.get());
    features.activation = parse_activation(activation);
    return features.value();
  };
  const auto x = torch::randn({4, 3, 5, 5}) * 3.0 + 1.0;
  const auto before = x.clone();
  const auto mean = x.mean({0, 2, 3}, true);
  const auto variance = x.var(torch::IntArrayRef{0, 2, 3}, /*unbiased=*/false, /*keepdim=*/true);
  const auto normalized = (x - mean) / (variance + 1e-5).sqrt();
  EXPECT_TRUE(torch::allclose(value(x, "none"), normalized, 1e-4, 1e-5));
  EXPECT_TRUE(torch::allclose(value(x, "relu"), normalized.relu(), 1e-4, 1e-5));
  EXPECT_TRUE(torch::allclose(value(x, "silu"), at::silu(normalized), 1e-4, 1e-5));
  EXPECT_TRUE(torch::equal(x, before));
}

TEST(Features, OfASeparableConvolutionAreNormalizedAndActivatedFirst) {
  torch::nn::Module parent;
  SeparableConv separable(8, 16, SeparableOrder::depthwise_first, Activation::none);
  SeparableConvBn unit(parent, "conv", separable, "bn");
  ASSERT_TRUE(parent.named_parameters().contains("conv.pointwise.weight"));
  EXPECT_EQ(parent.named_parameters()["bn.weight"].size(0), 16);
  BatchNorm2d before(torch::nn::BatchNorm2dOptions(8));
  const auto x =
      torch::randn({2, 8, 6, 6}).contiguous(torch::MemoryFormat::ChannelsLast) * 2.0 + 1.0;
  const auto weights = separable->named_parameters();
  for (const auto* activation : {"none", "relu", "elu"}) {
    const auto activate = parse_activation(activation);
    const auto between = activate(before->forward(x));
    const auto expected = at::conv2d(at::conv2d(between, weights["conv1.weight"], {}, 1, 1, 1, 8),
                                     weights["pointwise.weight"]);
    for (const auto kernels : {Kernels::reference, Kernels::fused}) {
      use_kernels(*separable, kernels);
      before->use_kernels(kernels);
      Features features(x, before.get());
      features.activation = activate;
      EXPECT_TRUE(torch::allclose(unit.forward(features).x, expected, 1e-4, 1e-5))
          << activation << ", " << kernels_name(kernels);
    }
  }
}

TEST(PoolAdd, HalvesRoundingUpAndAdds) {
  for (const std::int64_t size : {8, 9}) {
    const auto x = torch::randn({2, 3, size, size});
    const auto pooled = at::max_pool2d(x, 3, 2, 1);
    const std::int64_t half = (size + 1) / 2;
    ASSERT_EQ(pooled.size(2), half);
    const auto shortcut = torch::randn({2, 3, half, half});
    EXPECT_TRUE(torch::equal(pool_add(x, shortcut, 1, Kernels::reference), pooled + shortcut));
    EXPECT_TRUE(torch::equal(pool_add(x, {}, 1, Kernels::reference), pooled));
  }
}

TEST(XceptionBlock, LeavesItsInputAsItIs) {
  XceptionBlock block(XceptionBlockImpl::Shape{.in_channels = 8, .channels = {8, 8, 8}},
                      XceptionStyle{});
  const auto x = torch::randn({2, 8, 6, 6});
  const auto before = x.clone();
  block->eval();
  const auto y = block->forward(x);
  EXPECT_TRUE(torch::equal(x, before)) << "the leading ReLU must not be in place";
  EXPECT_EQ(y.sizes(), x.sizes());
}

TEST(InitTruncatedNormal, HasTheStatistics) {
  torch::manual_seed(3);
  auto narrow = torch::empty({200, 1000});
  init_truncated_normal(narrow, 0.1);
  EXPECT_NEAR(narrow.mean().item<double>(), 0.0, 1e-3);
  EXPECT_NEAR(narrow.std().item<double>(), 0.1, 1e-3);
  // Cut off at -2 and 2 a standard normal distribution has a standard deviation of 0.8796.
  auto wide = torch::empty({200, 1000});
  init_truncated_normal(wide, 1.0);
  EXPECT_NEAR(wide.std().item<double>(), 0.8796, 5e-3);
  EXPECT_LE(wide.abs().max().item<double>(), 2.0);
  EXPECT_LT((wide.abs() >= 2.0).sum().item<std::int64_t>(), 10) << "clamped, not truncated";
}

TEST(InitKaimingFanOut, HasTheStatistics) {
  torch::manual_seed(3);
  SeparableConv layer(512, 1024, SeparableOrder::depthwise_first, Activation::none);
  init_kaiming_fan_out(*layer);
  const auto weights = layer->named_parameters();
  const double depthwise = std::sqrt(2.0 / (512.0 * 9.0));
  const double pointwise = std::sqrt(2.0 / 1024.0);
  EXPECT_NEAR(weights["conv1.weight"].std().item<double>() / depthwise, 1.0, 0.05);
  EXPECT_NEAR(weights["pointwise.weight"].std().item<double>() / pointwise, 1.0, 0.01);
}

}  // namespace
}  // namespace xception
