#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "names.h"
#include "sections.h"
#include "xception/core/format.h"

namespace xception {
namespace {

// Of differences.
constexpr std::size_t kMostColumns = 4;      // of variants, beside the keys
constexpr std::size_t kMostKeyColumns = 12;  // as columns
constexpr std::size_t kWideValue = 60;
constexpr std::size_t kNarrowValue = 40;

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

/// Which data that is.
std::string data_sentence(const RunSet& set) {
  if (set.data_checksum.empty()) return "";
  return fmt::format(" Data: {} (SHA-256 {}...).",
                     set.data_name.empty() ? "unnamed" : set.data_name,
                     set.data_checksum.substr(0, 12));
}

/// A row a key, a column a variant.
Table by_key(const RunSet& set, const std::vector<std::vector<std::string>>& differences) {
  Table table{.header = {"key"}, .rows = differences, .text_columns = set.variants.size() + 1};
  for (const auto& variant : set.variants) table.header.push_back(variant.label);
  return table;
}

/// A row a variant, a column a key.
Table by_variant(const RunSet& set, const std::vector<std::vector<std::string>>& differences) {
  const auto keys = std::min(differences.size(), kMostKeyColumns);
  Table table{.header = {set.by_run ? "run" : "model"}, .text_columns = keys + 1};
  for (const auto& variant : set.variants) table.rows.push_back({variant.label});
  for (std::size_t k = 0; k < keys; ++k) {
    table.header.push_back(differences[k].front());
    for (std::size_t v = 0; v < set.variants.size(); ++v) {
      table.rows[v].push_back(differences[k][v + 1]);
    }
  }
  return table;
}

}  // namespace

Table results_table(const RunSet& set, const ComparisonResult& results, const Baseline& baseline) {
  Table table{.header = {set.by_run ? "run" : "model", "parameters", "test accuracy",
                         "95 % interval", "accuracy / M parameters", "running time", "an epoch",
                         "images/s", "peak memory", "multiply-adds", "energy", "runs"}};
  std::vector<std::string> models;
  for (const auto& entry : baseline.entries) {
    if (!entry.in_table) continue;
    table.rows.push_back(baseline_row(baseline, entry));
    models.push_back(entry.label);
  }
  table.gray_rows = table.rows.size();
  std::vector<std::size_t> order(set.variants.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (order.size() > kMostCurves) {
    const auto accuracy = [&](std::size_t v) {
      const auto& tested = results.variants[v].test_accuracy;
      return tested.empty() ? -1.0 : tested.mean();
    };
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return accuracy(a) > accuracy(b); });
  }
  for (const auto v : order) {
    table.rows.push_back(variant_row(set.variants[v].label, results.variants[v]));
    models.push_back(model_title(set.variants[v].model));
  }
  if (!set.by_run) return table;
  // The name doesn't say the model then.
  table.text_columns = 2;
  table.header.insert(table.header.begin() + 1, "model");
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    table.rows[i].insert(table.rows[i].begin() + 1, models[i]);
  }
  return table;
}

void add_table(ReportParts& parts) {
  auto table = results_table(parts.set, parts.results, parts.baseline);
  const bool has_references = table.gray_rows > 0;
  parts.add(Heading{.text = "Results"});
  parts.add(std::move(table));
  parts.add(Paragraph{
      .text = fmt::format(
          "Mean ± standard deviation over the runs of a variant, which differ in their seed. Test "
          "accuracy: checkpoint {}{}. The interval is Wilson's, of the mean on one test set: what "
          "other test images would change, not other seeds. Running time: the training steps of "
          "all epochs, without validation, test and saving. Multiply-adds: convolutions and linear "
          "layers, one image, evaluation.{}",
          parts.set.checkpoint,
          parts.set.checkpoint == "best" ? ", chosen by the validation images" : "",
          data_sentence(parts.set))});
  if (has_references) {
    parts.add(
        Paragraph{.text = fmt::format("In gray, as a reference: {}.", parts.baseline.description)});
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

void add_differences(ReportParts& parts) {
  auto differences = config_differences(parts.set);
  parts.add(Heading{.level = 3, .text = "What differs in the configs"});
  if (differences.empty()) {
    parts.add(Paragraph{.text = "Nothing but seeds."});
    return;
  }
  for (auto& row : differences) {
    const std::vector<std::string> values(row.begin() + 1, row.end());
    const auto names =
        shortened(values, parts.set.variants.size() <= kMostColumns ? kWideValue : kNarrowValue);
    std::copy(names.begin(), names.end(), row.begin() + 1);
  }
  if (parts.set.variants.size() <= kMostColumns) {
    parts.add(by_key(parts.set, differences));
    return;
  }
  parts.add(by_variant(parts.set, differences));
  if (differences.size() <= kMostKeyColumns) return;
  std::vector<std::string> keys;
  for (std::size_t k = kMostKeyColumns; k < differences.size(); ++k) {
    keys.push_back(differences[k].front());
  }
  parts.add(Paragraph{
      .text = fmt::format("Also {}; all values are in report.json.", fmt::join(keys, ", "))});
}

}  // namespace xception
