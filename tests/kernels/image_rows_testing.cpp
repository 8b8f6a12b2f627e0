#include "kernels/image_rows_testing.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <utility>

#include "xception/kernels/image_rows.h"

namespace xception {
namespace {

/// How far from a half float32 may take a sum of values up to 255.
constexpr double kNear = 1e-3;
/// Of the pixels, those that may lie so near.
constexpr double kNearShare = 0.01;

struct Sizes {
  std::int64_t batch, height, out_height, out_width;
};

/// (N, output, input): triangles, as wide as an output pixel where the image shrinks; each image's
/// begins a little further down.
torch::Tensor triangles(const Sizes& of) {
  const double scale = static_cast<double>(of.height) / static_cast<double>(of.out_height);
  const auto target = torch::arange(of.out_height).add(0.5).mul(scale).view({1, -1, 1});
  const auto source = torch::arange(of.height).add(0.5).view({1, 1, -1});
  const auto shift = torch::arange(of.batch).mul(0.3).view({-1, 1, 1});
  const auto weights =
      (1.0 - (source - target - shift).abs() / std::max(scale, 1.0)).clamp_min(0.0);
  return weights / weights.sum(-1, true).clamp_min(1e-6);
}

std::vector<std::pair<std::string, torch::Tensor>> maps(const Sizes& of) {
  const auto resampled = triangles(of);
  auto holes = resampled.clone();
  holes.select(1, 0).zero_();              // a line that nothing goes into
  holes.select(2, of.height / 2).zero_();  // zeros between weights
  const auto window = torch::arange(of.out_height).sub(1).view({1, -1, 1}) ==
                      torch::arange(of.height).view({1, 1, -1});
  return {{"resampled", resampled},
          {"flipped", resampled.flip(1)},
          {"one for all", resampled.slice(0, 0, 1)},
          {"holes", holes},
          {"a window, one for all", window.to(torch::kFloat32)},
          {"random",
           torch::rand({of.batch, of.out_height, of.height}) / static_cast<double>(of.height)},
          {"identity", {}}};
}

bool is_near(const torch::Tensor& near, double share) {
  return near.to(torch::kFloat64).mean().item<double>() <= share;
}

}  // namespace

std::vector<ImageRowsCase> image_rows_cases(const torch::Device& device) {
  torch::manual_seed(3);
  std::vector<ImageRowsCase> all;
  for (const Sizes& of : {Sizes{1, 1, 1, 1}, Sizes{1, 3, 7, 5}, Sizes{2, 32, 75, 71},
                          Sizes{3, 32, 19, 64}, Sizes{1, 70, 11, 33}, Sizes{5, 9, 9, 16}}) {
    for (const auto& [name, rows] : maps(of)) {
      all.push_back(
          {.name = fmt::format("{}: {} x {} to {} x {}", name, of.batch, of.height, of.out_height,
                               of.out_width),
           .columns = (torch::rand({of.batch, of.height, of.out_width * 3}) * 255.0).to(device),
           .rows = rows.defined() ? rows.to(device) : rows,
           .scale = torch::tensor({0.0171F, 0.0175F, 0.0174F}, device),
           .offset = torch::tensor({-2.118F, -2.036F, -1.804F}, device)});
    }
  }
  return all;
}

void expect_image_rows(const ImageRowsCase& of) {
  SCOPED_TRACE(of.name);
  const auto sums = (of.rows.defined() ? torch::matmul(of.rows.to(torch::kFloat64),
                                                       of.columns.to(torch::kFloat64))
                                       : of.columns.to(torch::kFloat64));
  const auto exact = sums.view({sums.size(0), sums.size(1), -1, 3}).permute({0, 3, 1, 2});
  const auto pixels = fused_image_rows(of.columns, of.rows, torch::ones_like(of.scale),
                                       torch::zeros_like(of.offset), torch::kFloat64);
  ASSERT_EQ(pixels.sizes(), exact.sizes());
  const auto near = (exact - exact.floor() - 0.5).abs() < kNear;
  EXPECT_TRUE(is_near(near, kNearShare));
  EXPECT_TRUE(torch::equal(pixels.masked_fill(near, 0.0), exact.round().masked_fill(near, 0.0)));
  EXPECT_LE((pixels - exact).abs().max().item<double>(), 0.5 + kNear);

  const auto whole = fused_image_rows(of.columns, of.rows, of.scale, of.offset, torch::kFloat32);
  EXPECT_TRUE(whole.is_contiguous(torch::MemoryFormat::ChannelsLast));
  const auto channel = [](const torch::Tensor& values) {
    return values.to(torch::kFloat64).view({1, 3, 1, 1});
  };
  EXPECT_TRUE(torch::allclose(whole.to(torch::kFloat64),
                              pixels * channel(of.scale) + channel(of.offset), 0.0, 1e-6));
  for (const auto dtype : {torch::kFloat16, torch::kBFloat16, torch::kFloat64}) {
    const auto found = fused_image_rows(of.columns, of.rows, of.scale, of.offset, dtype);
    EXPECT_TRUE(found.is_contiguous(torch::MemoryFormat::ChannelsLast));
    EXPECT_TRUE(torch::equal(found, whole.to(dtype))) << dtype;
  }
}

void expect_halves_to_even(const torch::Device& device) {
  // Twice the sums: up to where floats cease to have halves (2^23), and odd ones beyond that.
  const auto first = torch::tensor(
      {-5, -3, -1, 0, 1, 2, 3, 5, 509, 8388607, 16777213, -16777213, 16777218, -16777218, 0},
      torch::kFloat32);
  const auto columns = torch::stack({first, torch::zeros_like(first)}).unsqueeze(0).to(device);
  const auto rows = torch::full({1, 1, 2}, 0.5, device);
  const auto pixels = fused_image_rows(columns, rows, torch::ones({3}, device),
                                       torch::zeros({3}, device), torch::kFloat32);
  const auto wanted = (first * 0.5).round().view({1, 1, -1, 3}).permute({0, 3, 1, 2}).to(device);
  EXPECT_TRUE(torch::equal(pixels, wanted)) << pixels << wanted;
}

}  // namespace xception
