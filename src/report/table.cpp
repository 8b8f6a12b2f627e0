#include <fmt/ranges.h>

#include "sections.h"
#include "xception/train/progress_line.h"

namespace xception {
namespace {

std::string or_dash(std::int64_t value, const std::string& text) {
  return value > 0 ? text : "-";
}

std::string per_million(double accuracy, std::int64_t parameters) {
  if (parameters == 0) return "-";
  return fmt::format("{:.2f}", 100.0 * accuracy / (static_cast<double>(parameters) * 1e-6));
}

std::vector<std::string> baseline_row(const Baseline& baseline, const Baseline::Entry& entry) {
  const auto epochs = static_cast<double>(entry.history.size());
  return {fmt::format("{} ({})", entry.label, baseline.name),
          grouped(entry.parameters),
          entry.test_accuracy ? percent(*entry.test_accuracy) : "-",
          "-",
          entry.test_accuracy ? per_million(*entry.test_accuracy, entry.parameters) : "-",
          entry.train_seconds ? seconds_text(*entry.train_seconds) : "-",
          entry.train_seconds && epochs > 0 ? seconds_text(*entry.train_seconds / epochs) : "-",
          "-",
          "-",
          "-",
          "-",
          "1"};
}

std::vector<std::string> variant_row(const std::string& label, const VariantResult& result) {
  const bool tested = !result.test_accuracy.empty();
  return {label,
          or_dash(result.parameters, grouped(result.parameters)),
          percent_of(result.test_accuracy),
          result.wilson
              ? fmt::format("{} to {}", percent(result.wilson->low), percent(result.wilson->high))
              : "-",
          tested ? per_million(result.test_accuracy.mean(), result.parameters) : "-",
          text_of(result.train_seconds, 2, "s"),
          text_of(result.epoch_seconds, 2, "s"),
          text_of(result.images_per_second, 1),
          or_dash(result.memory_bytes, format_bytes(result.memory_bytes)),
          or_dash(result.multiply_adds,
                  fmt::format("{:.3f} G", static_cast<double>(result.multiply_adds) * 1e-9)),
          text_of(result.energy_joules, 0, "J"),
          result.complete == result.runs
              ? fmt::format("{}", result.complete)
              : fmt::format("{} of {} complete", result.complete, result.runs)};
}

}  // namespace

void add_table(ReportParts& parts) {
  Table table{.header = {"model", "parameters", "test accuracy", "95 % interval",
                         "accuracy / M parameters", "running time", "an epoch", "images/s",
                         "peak memory", "multiply-adds", "energy", "runs"}};
  for (const auto& entry : parts.baseline.entries) {
    if (entry.in_table) table.rows.push_back(baseline_row(parts.baseline, entry));
  }
  table.grey_rows = table.rows.size();
  for (std::size_t v = 0; v < parts.set.variants.size(); ++v) {
    table.rows.push_back(variant_row(parts.label(v), parts.results.variants[v]));
  }
  parts.add(Heading{.text = "Results"});
  parts.add(std::move(table));
  parts.add(Paragraph{
      .text = fmt::format(
          "Mean ± standard deviation over the runs of a variant, which differ in their seed. Test "
          "accuracy: checkpoint {}{}. The interval is Wilson's, of the mean on one test set: what "
          "other test images would change, not other seeds. Running time: the training steps of "
          "all epochs, without validation, test and saving. Multiply-adds: convolutions and linear "
          "layers, one image, evaluation.",
          parts.set.checkpoint,
          parts.set.checkpoint == "best" ? ", chosen by the validation images" : "")});
  if (table.grey_rows > 0) {
    parts.add(
        Paragraph{.text = fmt::format("In grey, as a reference: {}.", parts.baseline.description)});
  }
  std::vector<std::string> lasts;
  for (std::size_t v = 0; v < parts.set.variants.size(); ++v) {
    const auto& result = parts.results.variants[v];
    if (result.last_test_accuracy.empty() || parts.set.checkpoint == "last") continue;
    lasts.push_back(fmt::format("{} {}", parts.label(v), percent_of(result.last_test_accuracy)));
  }
  if (!lasts.empty() && lasts.size() <= kMostCurves) {
    parts.add(Paragraph{
        .text = fmt::format("Test accuracy of the last epoch: {}.", fmt::join(lasts, "; "))});
  }
}

}  // namespace xception
