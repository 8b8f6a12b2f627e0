#include "xception/kernels/fused_selftest.h"

#include <gtest/gtest.h>

namespace xception {
namespace {

TEST(FusedSelftest, AgreesOnTheCpu) {
  EXPECT_EQ(fused_selftest(torch::kCPU), "");
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
