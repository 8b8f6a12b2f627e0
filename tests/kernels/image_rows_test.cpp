// fused_image_rows() on the CPU.

#include "xception/kernels/image_rows.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cstdint>
#include <limits>
#include <vector>

#include "kernels/image_rows_testing.h"
#include "xception/core/error.h"

namespace xception {
namespace {

TEST(ImageRows, EqualTorch) {
  for (const auto& of : image_rows_cases(torch::kCPU)) expect_image_rows(of);
}

TEST(ImageRows, HalvesGoToEven) {
  expect_halves_to_even(torch::kCPU);
}

TEST(ImageRows, NumberOfThreadsChangesNothing) {
  // More elements than one thread is given.
  const auto columns = torch::rand({8, 20, 213}) * 255.0;
  const auto rows = torch::rand({8, 71, 20}) / 20.0;
  const auto scale = torch::rand({3});
  const auto all = [&] { return fused_image_rows(columns, rows, scale, scale, torch::kFloat32); };
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const auto wanted = all();
  at::set_num_threads(3);
  const auto found = all();
  at::set_num_threads(threads);
  EXPECT_TRUE(torch::equal(found, wanted));
}

TEST(ImageRows, WhatLiesOutsideTheWeightsIsntRead) {
  auto columns = torch::full({1, 9, 6}, std::numeric_limits<float>::quiet_NaN());
  columns.slice(1, 3, 5).fill_(7.0);
  auto rows = torch::zeros({1, 2, 9});
  rows.slice(2, 3, 5).fill_(0.5);
  const auto y =
      fused_image_rows(columns, rows, torch::ones({3}), torch::zeros({3}), torch::kFloat32);
  EXPECT_TRUE(torch::equal(y, torch::full({1, 3, 2, 2}, 7.0)));
}

TEST(ImageRows, StridesAndEmptyBatchesAreTaken) {
  const auto columns = torch::rand({2, 6, 9}) * 255.0;
  const auto rows = torch::rand({2, 4, 6}) / 6.0;
  const auto scale = torch::ones({3});
  const auto run = [&](const torch::Tensor& c, const torch::Tensor& r) {
    return fused_image_rows(c, r, scale, scale, torch::kFloat32);
  };
  const auto across = [](const torch::Tensor& x) {
    return x.transpose(1, 2).contiguous().transpose(1, 2);
  };
  EXPECT_TRUE(torch::equal(run(across(columns), across(rows)), run(columns, rows)));
  EXPECT_EQ(run(columns.slice(0, 0, 0), rows.slice(0, 0, 1)).sizes(),
            (std::vector<std::int64_t>{0, 3, 4, 3}));
}

TEST(ImageRows, ErrorsNameWhatIsWrong) {
  const auto columns = torch::rand({2, 6, 9});
  const auto three = torch::ones({3});
  const auto call = [](const torch::Tensor& c, const torch::Tensor& r, const torch::Tensor& scale,
                       torch::Dtype dtype = torch::kFloat32) {
    return fused_image_rows(c, r, scale, torch::ones({3}), dtype);
  };
  EXPECT_NO_THROW((void)call(columns, {}, three));
  EXPECT_THROW((void)call(torch::rand({2, 6, 8}), {}, three), Error);
  EXPECT_THROW((void)call(columns.to(torch::kFloat64), {}, three), Error);
  EXPECT_THROW((void)call(columns, torch::rand({3, 4, 6}), three), Error);
  EXPECT_THROW((void)call(columns, torch::rand({2, 4, 5}), three), Error);
  EXPECT_THROW((void)call(columns, {}, torch::ones({1})), Error);
  EXPECT_THROW((void)call(columns, {}, three, torch::kInt32), Error);
  EXPECT_THROW((void)call(columns.clone().requires_grad_(), {}, three), Error);
}

}  // namespace
}  // namespace xception
