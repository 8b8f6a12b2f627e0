#include <fmt/ranges.h>

#include "sections.h"

namespace xception {
namespace {

/// Wilson intervals and single runs of every drawn variant, and the baseline's values.
void add_intervals(ReportParts& parts) {
  if (parts.charts == nullptr) return;
  IntervalChart chart{.title = parts.chart_title("Test accuracy"),
                      .x = {.label = "test accuracy, %"}};
  for (const auto v : parts.drawn) {
    const auto& result = parts.results.variants[v];
    if (!result.wilson) continue;
    auto dots = result.test_accuracy.values;
    for (auto& dot : dots) dot *= 100.0;
    chart.rows.push_back({.label = parts.chart_label(v),
                          .value = 100.0 * result.test_accuracy.mean(),
                          .low = 100.0 * result.wilson->low,
                          .high = 100.0 * result.wilson->high,
                          .dots = dots.size() > 1 ? dots : std::vector<double>(),
                          .style = parts.style(v)});
  }
  if (chart.rows.empty()) return;
  parts.charts->add("test-accuracy", chart);
  parts.add(FigureRow{
      {{.file = "test-accuracy.svg",
        .text =
            "Test accuracy: mean with its 95 % Wilson interval, and below it the single runs"}}});
}

std::vector<std::string> seed_row(const ReportParts& parts, const PairResult& pair) {
  const auto deviation = deviation_of(pair.differences);
  auto difference = fmt::format("{:+.2f}", 100.0 * pair.difference);
  if (deviation) difference += fmt::format(" ± {:.2f}", 100.0 * *deviation);
  return {parts.label(pair.first),
          parts.label(pair.second),
          difference,
          fmt::format("{}", pair.seeds.size()),
          pair.p ? p_text(*pair.p) : "-",
          !pair.p             ? "one seed can't say"
          : pair.is_settled() ? "more than noise"
                              : "may be noise"};
}

void add_over_seeds(ReportParts& parts) {
  Table table{.header = {"first", "second", "first - second, points", "seeds", "p", "verdict"},
              .text_columns = 2};
  for (const auto& pair : parts.results.pairs) table.rows.push_back(seed_row(parts, pair));
  parts.add(Heading{.level = 3, .text = "Over seeds"});
  parts.add(Paragraph{
      .text = "Test accuracy paired by seed (the same seed gives the same validation images and "
              "order), two-sided t-test, Holm's correction over all rows: whether another set of "
              "seeds would show the same."});
  parts.add(std::move(table));
}

void add_over_images(ReportParts& parts) {
  Table table{.header = {"first", "second", "seed", "only first right", "only second right",
                         "chi-square", "p", "both wrong, every seed"},
              .text_columns = 2};
  for (const auto& pair : parts.results.pairs) {
    for (std::size_t i = 0; i < pair.mcnemar.size(); ++i) {
      const auto& test = pair.mcnemar[i];
      table.rows.push_back(
          {parts.label(pair.first), parts.label(pair.second), fmt::format("{}", pair.seeds[i]),
           grouped(test.only_first), grouped(test.only_second),
           fmt::format("{:.2f}", test.chi_square), p_text(pair.mcnemar_p[i]),
           fmt::format("{} of {}", grouped(static_cast<std::int64_t>(pair.both_wrong.size())),
                       grouped(static_cast<std::int64_t>(pair.images)))});
    }
  }
  if (table.rows.empty()) return;
  parts.add(Heading{.level = 3, .text = "Over test images"});
  parts.add(Paragraph{
      .text = "McNemar's test of two trained networks on the same test images (exact below 25 "
              "images on which they differ, else chi-square with continuity correction; Holm's "
              "correction over all rows): whether other test images would show the same of these "
              "two networks."});
  parts.add(std::move(table));
}

}  // namespace

void add_comparisons(ReportParts& parts) {
  bool tested = false;
  for (const auto& result : parts.results.variants) tested = tested || result.wilson;
  if (!tested) return;
  parts.add(Heading{.text = "Is it more than noise?"});
  add_intervals(parts);
  if (parts.results.pairs.empty()) {
    parts.add(Paragraph{.text = "There are no two variants to compare."});
    return;
  }
  const auto& pairs = parts.results.pairs;
  if (pairs.size() == kMostPairs && pairs.front().first == pairs.back().first) {
    parts.add(Paragraph{.text = fmt::format("Many variants: only pairs with the best one are "
                                            "compared, with the {} next.",
                                            pairs.size())});
  }
  add_over_seeds(parts);
  add_over_images(parts);
}

}  // namespace xception
