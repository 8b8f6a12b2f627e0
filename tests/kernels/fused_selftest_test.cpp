#include "xception/kernels/fused_selftest.h"

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "kernels/faulty_operations.h"
#include "xception/kernels/selftest_settings.h"

namespace xception {
namespace {

using testing::HasSubstr;

TEST(FusedSelftest, AgreesOnTheCpu) {
  EXPECT_EQ(fused_selftest(torch::kCPU), "");
  const FaultyOperations without(Fault::none);
  EXPECT_EQ(fused_selftest(torch::kCPU), "");
}

TEST(FusedSelftest, NoticesEveryFault) {
  const auto found = [](Fault fault) {
    const FaultyOperations faulty(fault);
    return fused_selftest(torch::kCPU);
  };
  EXPECT_THAT(found(Fault::statistics), HasSubstr("BatchNorm"));
  EXPECT_THAT(found(Fault::sums), HasSubstr("BatchNorm"));
  EXPECT_THAT(found(Fault::input_gradient), HasSubstr("BatchNorm"));
  EXPECT_THAT(found(Fault::convolution), HasSubstr("depthwise"));
  EXPECT_THAT(found(Fault::tap), HasSubstr("depthwise"));
  EXPECT_THAT(found(Fault::pooling), HasSubstr("pooling"));
  EXPECT_THAT(found(Fault::index), HasSubstr("pooling"));
  EXPECT_THAT(found(Fault::source), HasSubstr("pooling of BatchNorm"));
  EXPECT_THAT(found(Fault::rows), HasSubstr("input batch"));
  EXPECT_THAT(found(Fault::update), HasSubstr("optimizer"));
}

TEST(SelftestSettings, LastAsLongAsTheyLive) {
  auto& context = at::globalContext();
  context.setBenchmarkCuDNN(true);
  at::autocast::set_autocast_enabled(torch::kCUDA, true);
  {
    const SelftestSettings settings(torch::kCUDA);
    EXPECT_FALSE(context.benchmarkCuDNN());  // a search would take seconds a convolution
    EXPECT_TRUE(context.deterministicCuDNN());
    EXPECT_FALSE(context.allowTF32CuDNN());
    EXPECT_FALSE(at::autocast::is_autocast_enabled(torch::kCUDA));
  }
  EXPECT_TRUE(context.benchmarkCuDNN());
  EXPECT_FALSE(context.deterministicCuDNN());
  EXPECT_TRUE(context.allowTF32CuDNN());
  EXPECT_TRUE(at::autocast::is_autocast_enabled(torch::kCUDA));
  at::autocast::set_autocast_enabled(torch::kCUDA, false);
  context.setBenchmarkCuDNN(false);
}

TEST(FusedSelftest, DrawsNoRandomNumbers) {
  torch::manual_seed(1);
  const auto expected = torch::rand({8});
  torch::manual_seed(1);
  EXPECT_EQ(fused_selftest(torch::kCPU), "");
  EXPECT_TRUE(torch::equal(torch::rand({8}), expected));
}

}  // namespace
}  // namespace xception
