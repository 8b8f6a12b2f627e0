#include <gtest/gtest.h>

#include "support/python.h"
#include "xception/models/complexity.h"
#include "xception/models/registry.h"

namespace xception {
namespace {

TEST(ComplexityReference, EqualsFvcores) {
  const auto expected = run_python("export_complexity.py");
  EXPECT_EQ(expected.size(), 10U);
  for (const auto& [name, counts] : expected) {
    const auto slash = name.find('/');
    ModelConfig config;
    config.name = name.substr(0, slash);
    const auto model = build_model(config);
    const auto cost = count_complexity(*model, std::stoll(name.substr(slash + 1)));
    EXPECT_EQ(cost.multiply_adds, counts[0].item<std::int64_t>()) << name;
    EXPECT_EQ(cost.activations, counts[1].item<std::int64_t>()) << name;
    EXPECT_EQ(cost.parameters, counts[2].item<std::int64_t>()) << name;
  }
}

}  // namespace
}  // namespace xception
