#include <gtest/gtest.h>
#include <torch/types.h>

#include "support/python.h"
#include "xception/statistics/classification.h"
#include "xception/statistics/paired.h"

namespace xception {
namespace {

std::vector<double> numbers(const torch::Tensor& tensor) {
  const auto values = tensor.to(torch::kFloat64).contiguous();
  const auto* data = values.const_data_ptr<double>();
  return {data, data + values.numel()};
}

/// What the reference libraries give, computed once.
const TensorMap& expected() {
  static const auto tensors = run_python("export_statistics.py");
  return tensors;
}

/// Calls `check` with the tensor of each case; returns how many there were.
template <class Check>
int for_each_case(const std::string& before, const std::string& after, const Check& check) {
  int cases = 0;
  for (int i = 0; i < 40; ++i) {
    const auto found = expected().find(before + std::to_string(i) + after);
    if (found == expected().end()) continue;
    ++cases;
    SCOPED_TRACE(found->first);
    check(i, numbers(found->second));
  }
  return cases;
}

TEST(Statistics, PairedTestsEqualScipys) {
  const int cases = for_each_case("ttest/", "/p", [](int i, const std::vector<double>& p) {
    const auto name = std::to_string(i);
    const auto own = paired_t_test(numbers(expected().at("ttest/" + name + "/differences")));
    ASSERT_TRUE(own);
    EXPECT_NEAR(*own, p[0], 1e-12);
    const auto adjusted = holm(numbers(expected().at("holm/" + name + "/p")));
    const auto wanted = numbers(expected().at("holm/" + name + "/adjusted"));
    ASSERT_EQ(adjusted.size(), wanted.size());
    for (std::size_t k = 0; k < wanted.size(); ++k) EXPECT_NEAR(adjusted[k], wanted[k], 1e-15);
  });
  EXPECT_EQ(cases, 40);
}

TEST(Statistics, WilsonEqualsStatsmodels) {
  const int cases = for_each_case("wilson/", "", [](int, const std::vector<double>& row) {
    const auto interval = wilson_interval(static_cast<std::int64_t>(row[0]),
                                          static_cast<std::int64_t>(row[1]), row[2]);
    EXPECT_NEAR(interval.low, row[3], 1e-12);
    EXPECT_NEAR(interval.high, row[4], 1e-12);
  });
  EXPECT_EQ(cases, 40);
}

TEST(Statistics, McNemarEqualsStatsmodels) {
  const int cases = for_each_case("mcnemar/", "", [](int, const std::vector<double>& row) {
    const auto test = mcnemar(static_cast<std::int64_t>(row[0]), static_cast<std::int64_t>(row[1]));
    EXPECT_NEAR(test.exact_p, row[2], 1e-9);
    EXPECT_NEAR(test.chi_square, row[3], 1e-9);
    EXPECT_NEAR(test.chi_square_p, row[4], 1e-9);
    EXPECT_EQ(test.p(), row[0] + row[1] < 25 ? test.exact_p : test.chi_square_p);
  });
  EXPECT_GE(cases, 35);
}

TEST(Statistics, ScoresEqualScikitLearns) {
  const int cases =
      for_each_case("answers/", "/label", [](int i, const std::vector<double>& label) {
        const auto place = "answers/" + std::to_string(i) + "/";
        const auto answer = numbers(expected().at(place + "answer"));
        const auto confidence = numbers(expected().at(place + "confidence"));
        const auto& counts = expected().at(place + "confusion");
        const auto classes = counts.size(0);
        ConfusionMatrix matrix(classes);
        std::vector<bool> right;
        for (std::size_t k = 0; k < label.size(); ++k) {
          matrix.add(static_cast<std::int64_t>(label[k]), static_cast<std::int64_t>(answer[k]));
          right.push_back(label[k] == answer[k]);
        }
        const auto scores = matrix.scores();
        const auto& wanted = expected().at(place + "scores");  // (4, classes)
        for (std::int64_t c = 0; c < classes; ++c) {
          const auto& own = scores[static_cast<std::size_t>(c)];
          EXPECT_NEAR(own.precision, wanted[0][c].item<double>(), 1e-12);
          EXPECT_NEAR(own.recall, wanted[1][c].item<double>(), 1e-12);
          EXPECT_NEAR(own.f1, wanted[2][c].item<double>(), 1e-12);
          EXPECT_EQ(static_cast<double>(own.support), wanted[3][c].item<double>());
          for (std::int64_t other = 0; other < classes; ++other) {
            EXPECT_EQ(matrix.at(c, other), counts[c][other].item<std::int64_t>());
          }
        }
        EXPECT_NEAR(matrix.balanced_accuracy(),
                    numbers(expected().at(place + "balanced_accuracy"))[0], 1e-12);
        EXPECT_NEAR(matrix.macro_f1(), numbers(expected().at(place + "macro_f1"))[0], 1e-12);
        EXPECT_NEAR(calibrate(confidence, right).ece, numbers(expected().at(place + "ece"))[0],
                    1e-9);
      });
  EXPECT_EQ(cases, 40);
}

TEST(Statistics, Edges) {
  EXPECT_FALSE(paired_t_test({}));
  EXPECT_FALSE(paired_t_test({0.1}));
  EXPECT_EQ(paired_t_test({0.0, 0.0}), 1.0);
  EXPECT_EQ(paired_t_test({0.25, 0.25}), 0.0);
  EXPECT_TRUE(holm({}).empty());
  EXPECT_EQ(mcnemar(0, 0).p(), 1.0);
  EXPECT_EQ(mcnemar(100, 100).p(), 1.0);
  EXPECT_EQ(wilson_interval(0, 0).high, 1.0);
  EXPECT_EQ(calibrate({}, {}).ece, 0.0);
  EXPECT_EQ(ConfusionMatrix(3).macro_f1(), 0.0);
  EXPECT_EQ(ConfusionMatrix(3).balanced_accuracy(), 0.0);
}

TEST(Statistics, ConfusedPairsAddBothDirections) {
  ConfusionMatrix matrix(3);
  matrix.add(0, 1);
  matrix.add(2, 1);
  matrix.add(1, 2);
  matrix.add(1, 2);
  const auto pairs = matrix.confused_pairs(5);
  ASSERT_EQ(pairs.size(), 2U);
  EXPECT_EQ(pairs[0].first, 1);
  EXPECT_EQ(pairs[0].second, 2);
  EXPECT_EQ(pairs[0].first_as_second, 2);
  EXPECT_EQ(pairs[0].second_as_first, 1);
  EXPECT_EQ(matrix.confused_pairs(1).size(), 1U);
}

}  // namespace
}  // namespace xception
