#include <fmt/ranges.h>

#include "example_images.h"
#include "names.h"
#include "sections.h"

namespace xception {
namespace {

constexpr std::size_t kPairs = 3;     // most confused, a variant
constexpr std::size_t kExamples = 8;  // images of each
constexpr std::size_t kBothWrong = 24;
constexpr std::size_t kClassColumns = 16;      // of a name in a chart
constexpr std::size_t kMostWithAllScores = 3;  // variants; of more, F1 alone

std::string class_name(const ReportParts& parts, std::int64_t place) {
  const auto i = static_cast<std::size_t>(place);
  return i < parts.set.class_names.size() ? parts.set.class_names[i] : fmt::format("{}", place);
}

Figure confusion_figure(ReportParts& parts, std::size_t v) {
  const auto& matrix = *parts.results.variants[v].confusion;
  HeatMap map{.title = fmt::format("{}: answers to each class, %", parts.chart_label(v)),
              .row_axis = "class",
              .column_axis = "answer"};
  for (std::int64_t row = 0; row < matrix.classes(); ++row) {
    map.labels.push_back(class_name(parts, row));
  }
  map.labels = shortened(map.labels, kClassColumns);
  const auto scores = matrix.scores();
  for (std::int64_t row = 0; row < matrix.classes(); ++row) {
    std::vector<double> shares;
    const auto support = static_cast<double>(scores[static_cast<std::size_t>(row)].support);
    for (std::int64_t column = 0; column < matrix.classes(); ++column) {
      shares.push_back(support > 0 ? static_cast<double>(matrix.at(row, column)) / support : 0.0);
    }
    map.shares.push_back(std::move(shares));
  }
  const auto name = fmt::format("confusion-{}", v + 1);
  parts.charts->add(name, map);
  return {.file = name + ".svg",
          .text = fmt::format("Confusion matrix of {}, percent of each class", parts.label(v))};
}

Figure reliability_figure(ReportParts& parts) {
  LineChart chart{.title = parts.chart_title("Reliability: share right at each probability"),
                  .x = {.label = "probability of the answer", .low = 0.0, .high = 1.0},
                  .y = {.label = "share of right answers", .low = 0.0, .high = 1.0},
                  .diagonal = true};
  for (const auto v : parts.drawn) {
    const auto& result = parts.results.variants[v];
    if (!result.calibration) continue;
    Series series{
        .label = fmt::format("{}, ECE {:.3f}", parts.chart_label(v), result.calibration->ece),
        .style = parts.style(v),
        .kind = Series::Kind::points};
    for (const auto& bin : result.calibration->bins) {
      if (bin.count == 0) continue;
      const auto right =
          static_cast<std::int64_t>(bin.accuracy * static_cast<double>(bin.count) + 0.5);
      const auto interval = wilson_interval(right, bin.count);
      series.x.push_back(bin.confidence);
      series.y.push_back(bin.accuracy);
      series.low.push_back(interval.low);
      series.high.push_back(interval.high);
    }
    chart.series.push_back(std::move(series));
  }
  parts.charts->add("reliability", chart);
  return {.file = "reliability.svg",
          .text = "Reliability diagram; bars are 95 % Wilson intervals of each bin"};
}

void add_scores(ReportParts& parts, const std::vector<std::size_t>& shown) {
  const bool all = shown.size() <= kMostWithAllScores;
  Table table{.header = {"class"}};
  for (const auto v : shown) {
    for (const auto* what : all ? std::vector{"precision", "recall", "F1"} : std::vector{"F1"}) {
      table.header.push_back(fmt::format("{}: {}", parts.label(v), what));
    }
  }
  const auto classes = parts.results.variants[shown.front()].confusion->classes();
  for (std::int64_t c = 0; c <= classes; ++c) {
    std::vector<std::string> row = {c < classes ? class_name(parts, c) : "mean"};
    for (const auto v : shown) {
      const auto scores = parts.results.variants[v].confusion->scores();
      ClassScores cell;
      if (c < static_cast<std::int64_t>(scores.size())) {
        cell = scores[static_cast<std::size_t>(c)];
      } else {
        for (const auto& of_class : scores) {
          const auto n = static_cast<double>(scores.size());
          cell.precision += of_class.precision / n;
          cell.recall += of_class.recall / n;
          cell.f1 += of_class.f1 / n;
        }
      }
      for (const auto value :
           all ? std::vector{cell.precision, cell.recall, cell.f1} : std::vector{cell.f1}) {
        row.push_back(fmt::format("{:.3f}", value));
      }
    }
    table.rows.push_back(std::move(row));
  }
  parts.add(Heading{.level = 3, .text = "Classes"});
  parts.add(std::move(table));
  if (!all) parts.add(Paragraph{.text = "Precision and recall are in report.json."});
}

/// Test images of `label` that a variant's runs answered with `answer`; each once.
std::vector<std::int64_t> images_of(const ReportParts& parts, std::size_t v, std::int64_t label,
                                    std::int64_t answer) {
  std::vector<std::int64_t> images;
  for (const auto place : parts.set.variants[v].runs) {
    const auto& answers = parts.set.runs[place].answers;
    for (std::size_t i = 0; answers && i < answers->size() && images.size() < kExamples; ++i) {
      if (answers->labels[i] == label && answers->answers[i] == answer) {
        images.push_back(answers->indices[i]);
      }
    }
    if (!images.empty()) break;
  }
  return images;
}

void add_confused(ReportParts& parts, const std::vector<std::size_t>& shown) {
  parts.add(Heading{.level = 3, .text = "Most confused"});
  Table table{.header = {"model", "pair", "first taken for second", "second taken for first"},
              .text_columns = 2};
  FigureRow row;
  for (const auto v : shown) {
    const auto pairs = parts.results.variants[v].confusion->confused_pairs(kPairs);
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const auto& pair = pairs[i];
      const auto first = class_name(parts, pair.first);
      const auto second = class_name(parts, pair.second);
      table.rows.push_back({parts.label(v), fmt::format("{} and {}", first, second),
                            grouped(pair.first_as_second), grouped(pair.second_as_first)});
      if (parts.dataset == nullptr || parts.charts == nullptr) continue;
      for (const bool forward : {true, false}) {
        const auto label = forward ? pair.first : pair.second;
        const auto answer = forward ? pair.second : pair.first;
        const auto images = images_of(parts, v, label, answer);
        if (images.empty()) continue;
        const auto file = fmt::format("confused-{}-{}-{}.png", v + 1, i + 1, forward ? 1 : 2);
        draw_images(*parts.dataset, images, kExamples, parts.figures / file);
        row.figures.push_back(
            {.file = file,
             .text = fmt::format("{}: {} taken for {}", parts.label(v), class_name(parts, label),
                                 class_name(parts, answer))});
      }
    }
  }
  parts.add(std::move(table));
  if (!row.figures.empty()) parts.add(std::move(row));
}

void add_both_wrong(ReportParts& parts) {
  if (parts.results.pairs.empty()) return;
  const auto& pair = parts.results.pairs.front();
  if (pair.both_wrong.empty()) return;
  parts.add(Heading{.level = 3, .text = "Wrong in both"});
  parts.add(Paragraph{
      .text = fmt::format("{} of {} test images are answered wrongly by {} and {} with every seed "
                          "that both have ({}).",
                          grouped(static_cast<std::int64_t>(pair.both_wrong.size())),
                          grouped(static_cast<std::int64_t>(pair.images)), parts.label(pair.first),
                          parts.label(pair.second), pair.mcnemar.size())});
  if (parts.dataset == nullptr || parts.charts == nullptr) return;
  const auto n = std::min(pair.both_wrong.size(), kBothWrong);
  const std::vector<std::int64_t> images(pair.both_wrong.begin(),
                                         pair.both_wrong.begin() + static_cast<std::ptrdiff_t>(n));
  draw_images(*parts.dataset, images, 12, parts.figures / "both-wrong.png");
  std::vector<std::string> names;
  for (std::size_t i = 0; i < n; ++i) {
    names.push_back(class_name(parts, parts.dataset->images->label(Split::test, images[i])));
  }
  parts.add(FigureRow{
      {{.file = "both-wrong.png",
        .text = fmt::format("The first {}, row by row: {}", n, fmt::join(names, ", "))}}});
}

}  // namespace

void add_errors(ReportParts& parts) {
  std::vector<std::size_t> shown;
  for (const auto v : parts.drawn) {
    if (parts.results.variants[v].confusion) shown.push_back(v);
  }
  if (shown.empty()) return;
  parts.add(Heading{.text = "Right and wrong answers"});
  parts.add(Paragraph{.text = "All tested runs of a variant together."});
  if (parts.charts != nullptr) {
    FigureRow row;
    for (const auto v : shown) row.figures.push_back(confusion_figure(parts, v));
    row.figures.push_back(reliability_figure(parts));
    parts.add(std::move(row));
  }
  Table calibration{.header = {"model", "ECE (15 bins)", "macro F1", "balanced accuracy"}};
  for (const auto v : shown) {
    const auto& result = parts.results.variants[v];
    calibration.rows.push_back({parts.label(v), fmt::format("{:.4f}", result.calibration->ece),
                                fmt::format("{:.4f}", result.confusion->macro_f1()),
                                fmt::format("{:.4f}", result.confusion->balanced_accuracy())});
  }
  parts.add(std::move(calibration));
  add_scores(parts, shown);
  add_confused(parts, shown);
  add_both_wrong(parts);
}

}  // namespace xception
