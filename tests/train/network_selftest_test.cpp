#include "xception/train/network_selftest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include "kernels/faulty_operations.h"

namespace xception {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(NetworkSelftest, AgreesOnTheCpuAndDrawsNoneOfTheRunsRandomNumbers) {
  torch::manual_seed(1);
  const auto expected = torch::rand({8});
  torch::manual_seed(1);
  EXPECT_EQ(network_selftest(torch::kCPU, "bf16"), "");
  EXPECT_TRUE(torch::equal(torch::rand({8}), expected));
  EXPECT_EQ(network_selftest(torch::kCPU, "fp32"), "");
}

TEST(NetworkSelftest, NoticesFaultsOfBranchesThatTheOperationsTestDoesNotRun) {
  for (const auto* precision : {"bf16", "fp32"}) {
    for (const auto fault : {Fault::slice, Fault::concatenation, Fault::slice_gradient}) {
      const FaultyOperations faulty(fault);
      EXPECT_THAT(network_selftest(torch::kCPU, precision),
                  AllOf(HasSubstr("inception_v3"), HasSubstr("than with LibTorch's operations")))
          << precision << " " << static_cast<int>(fault);
    }
  }
}

TEST(NetworkSelftest, NoticesFaultsInXception) {
  for (const auto fault : {Fault::convolution, Fault::tap, Fault::input_gradient, Fault::index}) {
    const FaultyOperations faulty(fault);
    EXPECT_THAT(network_selftest(torch::kCPU, "bf16"), HasSubstr("a small xception"))
        << static_cast<int>(fault);
  }
}

}  // namespace
}  // namespace xception
