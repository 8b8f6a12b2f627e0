#include "xception/train/graph_selftest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include <stdexcept>

#include "train/fake_graph.h"

namespace xception {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using Work = FakeGraph::Work;

std::string outcome(const FakeGraph& graph, const std::string& precision = "bf16",
                    Kernels kernels = Kernels::fused) {
  return graph_selftest(torch::kCPU, precision, kernels, [&](const torch::Device& device) {
    EXPECT_EQ(device, torch::Device(torch::kCPU));
    return std::make_unique<FakeGraph>(graph);
  });
}

void as_it_is(const Work& work, int /*step*/) {
  work();
}

TEST(GraphSelftest, AgreesWithAGraphThatDoesItsWorkAndDrawsNoneOfTheRunsRandomNumbers) {
  torch::manual_seed(1);
  const auto expected = torch::rand({8});
  torch::manual_seed(1);
  const FakeGraph good(as_it_is);
  EXPECT_THAT(outcome(good), IsEmpty());
  EXPECT_TRUE(torch::equal(torch::rand({8}), expected));
  EXPECT_THAT(outcome(good, "fp32", Kernels::reference), IsEmpty());
  // Not in fp16, in which a processor takes minutes for Inception V3.
}

TEST(GraphSelftest, NoticesOneThatDoesNot) {
  const auto differs = HasSubstr("doesn't do what the step does");
  for (const auto* precision : {"fp32", "fp16", "bf16"}) {
    // Nothing after the recording; one step left out.
    EXPECT_THAT(outcome(FakeGraph([](const Work& work, int step) {
                          if (step <= 3) work();
                        }),
                        precision),
                differs);
    EXPECT_THAT(outcome(FakeGraph([](const Work& work, int step) {
                          if (step != 4) work();
                        }),
                        precision),
                differs);
  }
}

TEST(GraphSelftest, SaysWhyThereIsNone) {
  EXPECT_THAT(outcome(FakeGraph([](const Work&, int) { throw std::runtime_error("unsupported"); })),
              HasSubstr("unsupported"));
  EXPECT_EQ(outcome(FakeGraph(as_it_is, false, "the step cannot be recorded: why")),
            "the step cannot be recorded: why");
  EXPECT_EQ(outcome(FakeGraph(as_it_is, false)), "nothing was recorded");
}

}  // namespace
}  // namespace xception
