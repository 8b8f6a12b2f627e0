// fused_update() on the CPU.

#include "xception/kernels/parameter_update.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "kernels/parameter_update_testing.h"
#include "xception/core/error.h"

namespace xception {
namespace {

TEST(ParameterUpdates, EqualTorch) {
  for (const auto& of : update_cases()) expect_update(of, torch::kCPU);
}

TEST(ParameterUpdates, NumberOfThreadsChangesNothing) {
  const auto of = update_cases().front();
  const auto all = [&](int threads) {
    torch::manual_seed(5);
    auto updates = updates_of(of, torch::kCPU);
    const int before = at::get_num_threads();
    at::set_num_threads(threads);
    fused_update(updates, of.rule, {torch::full({}, 0.1), torch::ones({}), {}, {}});
    at::set_num_threads(before);
    std::vector<torch::Tensor> parameters;
    for (const auto& update : updates) parameters.push_back(update.parameter);
    return parameters;
  };
  const auto one = all(1);
  const auto three = all(3);
  for (std::size_t i = 0; i < one.size(); ++i) {
    EXPECT_TRUE(torch::allclose(three[i], one[i], 0, 0, /*equal_nan=*/true)) << i;
  }
}

TEST(ParameterUpdates, ErrorsComeBeforeAnythingChanges) {
  const UpdateRule adam{.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
  const auto make = [](torch::ScalarType dtype = torch::kFloat32) {
    return torch::ones({4, 6}, dtype);
  };
  const ParameterUpdate good{make(), make(torch::kHalf), make(), make(), make(torch::kHalf)};
  const UpdateScalars scalars{torch::full({}, 0.1), torch::ones({}), {}, {}};
  const auto refused = [&](const ParameterUpdate& bad) {
    const auto before = good.parameter.clone();
    EXPECT_THROW(fused_update({good, bad}, adam, scalars), Error);
    EXPECT_TRUE(torch::equal(good.parameter, before));
  };
  auto bad = good;
  bad.gradient = make(torch::kBFloat16);  // another dtype than the first's
  refused(bad);
  bad = good;
  bad.gradient = make(torch::kHalf).t().contiguous().t();  // another order
  refused(bad);
  bad = good;
  bad.first = torch::Tensor();
  refused(bad);
  bad = good;
  bad.second = make(torch::kFloat64);
  refused(bad);
  bad = good;
  bad.copy = make();
  refused(bad);
  bad = good;
  bad.parameter = torch::ones({4, 12}).slice(1, 0, 12, 2);  // with gaps
  refused(bad);
  auto without = scalars;
  without.step = torch::Tensor();
  EXPECT_THROW(fused_update({good}, adam, without), Error);
  EXPECT_NO_THROW(fused_update({good}, adam, scalars));
  EXPECT_NO_THROW(fused_update({}, adam, {}));
}

}  // namespace
}  // namespace xception
