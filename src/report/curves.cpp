#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "sections.h"

namespace xception {
namespace {

std::optional<double> train_loss(const EpochPoint& p) {
  return p.train_loss;
}
std::optional<double> validation_loss(const EpochPoint& p) {
  return p.validation_loss;
}
std::optional<double> train_accuracy(const EpochPoint& p) {
  return p.train_accuracy;
}
std::optional<double> validation_accuracy(const EpochPoint& p) {
  return p.validation_accuracy;
}
std::optional<double> epoch_seconds(const EpochPoint& p) {
  return p.train_seconds;
}

constexpr std::size_t kMostWholeTics = 12;

std::size_t most_epochs(const ReportParts& parts) {
  std::size_t most = 0;
  for (const auto& entry : parts.baseline.entries) most = std::max(most, entry.history.size());
  for (const auto& run : parts.set.runs) most = std::max(most, run.history.size());
  return most;
}

/// What the x axis counts.
enum class Over { epochs, seconds, images };

double images_per_epoch(const RunSet& set, const RunVariant& variant) {
  const auto& summary = set.runs[variant.runs.front()].summary;
  return static_cast<double>(summary.value("/data/train"_json_pointer, std::int64_t{0}));
}

Series series_of(const ReportParts& parts, std::size_t v, EpochValue value, Over over,
                 double factor) {
  const auto& variant = parts.set.variants[v];
  auto curve = mean_curve(parts.set, variant, value);
  Series series{.label = variant.short_label, .style = parts.style(v)};
  series.x = over == Over::seconds ? std::move(curve.seconds) : std::move(curve.epoch);
  if (over == Over::images) {
    const auto images = images_per_epoch(parts.set, variant);
    for (auto& x : series.x) x *= images * 1e-3;
  }
  const auto scaled = [&](std::vector<double> values) {
    for (auto& y : values) y *= factor;
    return values;
  };
  series.y = scaled(std::move(curve.mean));
  if (variant.runs.size() > 1) {
    series.low = scaled(std::move(curve.low));
    series.high = scaled(std::move(curve.high));
  }
  return series;
}

Series reference(const Baseline& baseline, const Baseline::Entry& entry, EpochValue value,
                 double factor) {
  Series series{.label = fmt::format("{}, {}", entry.label, baseline.name), .style = kGray};
  for (const auto& point : entry.history) {
    if (const auto y = value(point)) {
      series.x.push_back(static_cast<double>(point.epoch));
      series.y.push_back(factor * *y);
    }
  }
  return series;
}

/// All drawn variants in one chart. Unset if no run has a value.
std::optional<Figure> against_each_other(ReportParts& parts, const std::string& name,
                                         const std::string& title, ChartAxis x, ChartAxis y,
                                         EpochValue value, Over over, double factor) {
  x.whole = over == Over::epochs && most_epochs(parts) <= kMostWholeTics;
  LineChart chart{.title = parts.chart_title(title), .x = std::move(x), .y = std::move(y)};
  if (over == Over::epochs) {
    for (const auto& entry : parts.baseline.entries) {
      auto series = reference(parts.baseline, entry, value, factor);
      // One line in the key for all of them.
      if (!chart.series.empty()) series.label.clear();
      if (chart.series.empty()) series.label = parts.baseline.name + " (gray)";
      chart.series.push_back(std::move(series));
    }
  }
  bool any = false;
  for (const auto v : parts.drawn) {
    chart.series.push_back(series_of(parts, v, value, over, factor));
    any = any || !chart.series.back().y.empty();
  }
  if (!any) return std::nullopt;
  parts.charts->add(name, chart);
  return Figure{.file = name + ".svg", .text = title};
}

/// Training and validation of one variant.
Figure own_curves(ReportParts& parts, std::size_t v, const std::string& what, const ChartAxis& y,
                  EpochValue train, EpochValue validation, double factor) {
  const auto name = fmt::format("{}-{}", what, v + 1);
  LineChart chart{.title = fmt::format("{}: {}", parts.chart_label(v), what),
                  .x = {.label = "epoch", .whole = most_epochs(parts) <= kMostWholeTics},
                  .y = y};
  auto trained = series_of(parts, v, train, Over::epochs, factor);
  trained.label = "training";
  trained.kind = Series::Kind::dashed;
  auto validated = series_of(parts, v, validation, Over::epochs, factor);
  validated.label = "validation";
  chart.series = {std::move(trained), std::move(validated)};
  parts.charts->add(name, chart);
  return {.file = name + ".svg",
          .text = fmt::format("{}: {}, training (dashed) and validation", parts.label(v), what)};
}

void add_row(ReportParts& parts, std::vector<std::optional<Figure>> figures) {
  FigureRow row;
  for (auto& figure : figures) {
    if (figure) row.figures.push_back(std::move(*figure));
  }
  if (!row.figures.empty()) parts.add(std::move(row));
}

}  // namespace

int ReportParts::style(std::size_t variant) const {
  const auto place = std::find(drawn.begin(), drawn.end(), variant);
  return place == drawn.end() ? kGray : static_cast<int>(place - drawn.begin());
}

std::string ReportParts::chart_title(const std::string& title) const {
  if (drawn.size() == set.variants.size()) return title;
  return fmt::format("{} (best {} of {})", title, drawn.size(), set.variants.size());
}

std::vector<std::size_t> variants_to_draw(const RunSet& set, const ComparisonResult& results) {
  std::vector<std::size_t> order(set.variants.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (order.size() <= kMostCurves) return order;
  std::vector<double> values;
  for (const auto v : order) {
    const auto& tested = results.variants[v].test_accuracy;
    const auto curve = mean_curve(set, set.variants[v], validation_accuracy);
    values.push_back(!tested.empty() ? 1.0 + tested.mean()
                     : curve.empty() ? 0.0
                                     : *std::max_element(curve.mean.begin(), curve.mean.end()));
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return values[a] > values[b]; });
  order.resize(kMostCurves);
  std::sort(order.begin(), order.end());
  return order;
}

void add_curves(ReportParts& parts) {
  if (parts.charts == nullptr) return;
  parts.add(Heading{.text = "Curves"});
  const auto& drawn = parts.drawn;
  parts.add(
      Paragraph{.text = fmt::format(
                    "Means over the runs of a variant, with the range of its runs as a band.{}",
                    drawn.size() < parts.set.variants.size()
                        ? fmt::format(" Of {} variants, the {} best are drawn.",
                                      parts.set.variants.size(), drawn.size())
                        : "")});
  const ChartAxis epoch{.label = "epoch"};
  const ChartAxis accuracy{.label = "validation accuracy, %"};
  parts.add(Heading{.level = 3, .text = "Against each other"});
  add_row(
      parts,
      {against_each_other(parts, "validation-accuracy", "Validation accuracy", epoch, accuracy,
                          validation_accuracy, Over::epochs, 100.0),
       against_each_other(parts, "validation-loss", "Validation loss", epoch,
                          {.label = "cross entropy"}, validation_loss, Over::epochs, 1.0),
       against_each_other(parts, "accuracy-over-time", "Validation accuracy against time",
                          {.label = "training time, s", .low = 0.0}, accuracy, validation_accuracy,
                          Over::seconds, 100.0),
       against_each_other(parts, "accuracy-over-images", "Validation accuracy against images",
                          {.label = "training images seen, thousands", .low = 0.0}, accuracy,
                          validation_accuracy, Over::images, 100.0),
       against_each_other(parts, "epoch-time", "Time of an epoch", epoch,
                          {.label = "training, s", .low = 0.0}, epoch_seconds, Over::epochs, 1.0)});
  parts.add(Heading{.level = 3, .text = "Training against validation"});
  std::vector<std::optional<Figure>> figures;
  for (const auto v : drawn) {
    figures.push_back(own_curves(parts, v, "accuracy", {.label = "accuracy, %"}, train_accuracy,
                                 validation_accuracy, 100.0));
    figures.push_back(
        own_curves(parts, v, "loss", {.label = "cross entropy"}, train_loss, validation_loss, 1.0));
  }
  add_row(parts, std::move(figures));
}

}  // namespace xception
