#pragma once

#include <string>
#include <vector>

#include "xception/data/dataset.h"
#include "xception/report/baseline.h"
#include "xception/report/charts.h"
#include "xception/report/comparison.h"
#include "xception/report/document.h"
#include "xception/report/run_set.h"

// The parts of a report, in its order; each adds blocks to the document and charts to the book.
namespace xception {

struct ReportParts {
  RunSet set = {};
  ComparisonResult results = {};
  Baseline baseline = {};
  ChartBook* charts = nullptr;  ///< without figures: none
  std::filesystem::path figures = {};
  const Dataset* dataset = nullptr;     ///< of the example images, or none
  std::vector<std::size_t> drawn = {};  ///< the variants in charts, in the set's order
  Document document = {};

  template <class Item>
  void add(Item item) {
    document.blocks.emplace_back(std::move(item));
  }
  [[nodiscard]] const std::string& label(std::size_t variant) const {
    return set.variants[variant].label;
  }
  [[nodiscard]] const std::string& chart_label(std::size_t variant) const {
    return set.variants[variant].short_label;
  }
  /// A chart's title, with what it leaves out: `Validation loss (best 7 of 40)`.
  [[nodiscard]] std::string chart_title(const std::string& title) const;
  /// A variant's color, the same in every chart.
  [[nodiscard]] int style(std::size_t variant) const;
};

/// Curves of more variants than this would cover each other: the best are drawn.
inline constexpr std::size_t kMostCurves = 7;
/// The variants to draw, in the set's order.
[[nodiscard]] std::vector<std::size_t> variants_to_draw(const RunSet& set,
                                                        const ComparisonResult& results);

void add_conclusion(ReportParts& parts);
void add_table(ReportParts& parts);
void add_differences(ReportParts& parts);
void add_curves(ReportParts& parts);
void add_comparisons(ReportParts& parts);
void add_errors(ReportParts& parts);
void add_other_data(ReportParts& parts);
void add_origin(ReportParts& parts);

/// A row a variant; of many, the best first.
[[nodiscard]] Table results_table(const RunSet& set, const ComparisonResult& results,
                                  const Baseline& baseline);
/// A row a run.
void add_runs(ReportParts& parts, const RunSet& set);

/// The sentences of the conclusion, the answer first.
[[nodiscard]] std::vector<std::string> conclusion_of(const RunSet& set,
                                                     const ComparisonResult& results);

// How figures are written.
[[nodiscard]] std::string percent(double share);    ///< `85.44 %`
[[nodiscard]] std::string points(double share);     ///< `1.23 points`, of percent
[[nodiscard]] std::string p_text(double p);         ///< `0.032`, `below 0.0001`
[[nodiscard]] std::string grouped(std::int64_t n);  ///< `24,371,444`
[[nodiscard]] std::string seconds_text(double seconds);
/// Mean and, over several, standard deviation: `85.44 % ± 0.21`; `-` of none.
[[nodiscard]] std::string percent_of(const Mean& mean);
[[nodiscard]] std::string text_of(const Mean& mean, int digits, const std::string& unit = "");

}  // namespace xception
