#include "xception/sweep/leaderboard.h"

#include <fmt/format.h>

#include <algorithm>

#include "xception/core/files.h"
#include "xception/core/json.h"
#include "xception/statistics/paired.h"

namespace xception {
namespace {

VariantRow row_of(const SweepDescription& description, const std::vector<TrialStatus>& trials,
                  std::size_t variant) {
  VariantRow row;
  row.label = description.variants[variant];
  std::vector<double> best_epochs, tests, seconds, speeds;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    const auto& entry = description.trials[i];
    if (entry.variant != variant) continue;
    ++row.trials;
    const auto& status = trials[i];
    const auto& result = status.result;
    if (status.state != TrialState::complete || !result.metric) {
      auto reason = status.reason;
      if (status.state == TrialState::paused) {
        reason = fmt::format("after epoch {} of {}", result.epochs, entry.epochs);
        if (result.epochs > row.stopped_epoch) {
          row.stopped_epoch = result.epochs;
          row.stopped_value = result.metric;
        }
      }
      row.problems.push_back(fmt::format("seed {}: {}{}", entry.seed, state_name(status.state),
                                         reason.empty() ? "" : " (" + reason + ")"));
      continue;
    }
    ++row.complete;
    row.seeds.push_back(entry.seed);
    row.values.push_back(*result.metric);
    if (result.best_epoch) best_epochs.push_back(static_cast<double>(*result.best_epoch));
    if (result.test_accuracy) tests.push_back(*result.test_accuracy);
    seconds.push_back(result.train_seconds);
    speeds.push_back(result.images_per_second);
    row.parameters = result.parameters;
  }
  row.mean = mean_of(row.values);
  row.deviation = deviation_of(row.values);
  row.best_epoch = mean_of(best_epochs);
  if (!tests.empty()) row.test_accuracy = mean_of(tests);
  row.train_seconds = mean_of(seconds);
  row.images_per_second = mean_of(speeds);
  return row;
}

Comparison compare(const std::vector<VariantRow>& rows, std::size_t better, std::size_t worse) {
  Comparison comparison{.better = better, .worse = worse};
  std::vector<double> differences;
  const auto& a = rows[better];
  const auto& b = rows[worse];
  for (std::size_t i = 0; i < a.seeds.size(); ++i) {
    const auto other = std::find(b.seeds.begin(), b.seeds.end(), a.seeds[i]);
    if (other == b.seeds.end()) continue;
    differences.push_back(a.values[i] -
                          b.values[static_cast<std::size_t>(other - b.seeds.begin())]);
  }
  comparison.pairs = differences.size();
  comparison.difference = differences.empty() ? a.mean - b.mean : mean_of(differences);
  comparison.p = paired_t_test(differences);
  return comparison;
}

bool is_share(const std::string& metric) {
  return metric.ends_with("accuracy");
}

/// A value of the metric: an accuracy in percent.
std::string shown(const std::string& metric, double value) {
  return is_share(metric) ? fmt::format("{:.2f} %", 100.0 * value) : fmt::format("{:.4f}", value);
}

std::string shown(const std::string& metric, const VariantRow& row) {
  if (row.complete == 0) {
    if (!row.stopped_value) return "-";
    return fmt::format("{} (epoch {})", shown(metric, *row.stopped_value), row.stopped_epoch);
  }
  auto text = shown(metric, row.mean);
  if (row.deviation) {
    text += is_share(metric) ? fmt::format(" ± {:.2f}", 100.0 * *row.deviation)
                             : fmt::format(" ± {:.4f}", *row.deviation);
  }
  return text;
}

/// A cell of a CSV file, of a Markdown table.
std::string csv_cell(const std::string& text) {
  std::string cell = "\"";
  for (const char c : text) cell += c == '"' ? std::string("\"\"") : std::string(1, c);
  return cell + "\"";
}
std::string markdown_cell(const std::string& text) {
  std::string cell;
  for (const char c : text) cell += c == '|' ? std::string("\\|") : std::string(1, c);
  return cell;
}

nlohmann::ordered_json json_of(const Leaderboard& board) {
  nlohmann::ordered_json result = {{"metric", board.metric}};
  result["variants"] = nlohmann::ordered_json::array();
  const auto optional = [](const std::optional<double>& value) {
    return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
  };
  for (const auto& row : board.rows) {
    result["variants"].push_back(
        {{"variant", row.label},
         {"trials", row.trials},
         {"complete", row.complete},
         {"seeds", row.seeds},
         {"values", row.values},
         {"mean", row.complete > 0 ? nlohmann::ordered_json(row.mean) : nullptr},
         {"std", optional(row.deviation)},
         {"best_epoch", row.best_epoch},
         {"test_accuracy", optional(row.test_accuracy)},
         {"parameters", row.parameters},
         {"train_seconds", row.train_seconds},
         {"images_per_second", row.images_per_second},
         {"stopped_epoch", row.stopped_epoch},
         {"stopped_value", optional(row.stopped_value)},
         {"problems", row.problems}});
  }
  result["comparisons"] = nlohmann::ordered_json::array();
  for (const auto& comparison : board.comparisons) {
    result["comparisons"].push_back({{"better", board.rows[comparison.better].label},
                                     {"worse", board.rows[comparison.worse].label},
                                     {"difference", comparison.difference},
                                     {"pairs", comparison.pairs},
                                     {"p", optional(comparison.p)},
                                     {"verdict", comparison.verdict()}});
  }
  return result;
}

std::string csv_of(const Leaderboard& board) {
  std::string text =
      "variant,trials,complete,mean,std,best_epoch,test_accuracy,parameters,train_seconds,"
      "images_per_second\n";
  const auto optional = [](const std::optional<double>& value) {
    return value ? fmt::format("{}", *value) : std::string();
  };
  for (const auto& row : board.rows) {
    text += fmt::format("{},{},{},{},{},{},{},{},{},{}\n", csv_cell(row.label), row.trials,
                        row.complete, row.complete > 0 ? fmt::format("{}", row.mean) : "",
                        optional(row.deviation), row.best_epoch, optional(row.test_accuracy),
                        row.parameters, row.train_seconds, row.images_per_second);
  }
  return text;
}

}  // namespace

std::string Comparison::verdict() const {
  if (!p) return "one seed can't say";
  return *p < 0.05 ? "more than noise" : "may be noise";
}

Leaderboard rank_variants(const SweepDescription& description,
                          const std::vector<TrialStatus>& trials) {
  Leaderboard board;
  board.metric = description.metric.name;
  for (std::size_t v = 0; v < description.variants.size(); ++v) {
    board.rows.push_back(row_of(description, trials, v));
  }
  std::stable_sort(board.rows.begin(), board.rows.end(),
                   [&](const VariantRow& a, const VariantRow& b) {
                     if ((a.complete > 0) != (b.complete > 0)) return a.complete > 0;
                     if (a.complete == 0 && a.stopped_epoch != b.stopped_epoch) {
                       return a.stopped_epoch > b.stopped_epoch;
                     }
                     if (a.complete == 0 && (!a.stopped_value || !b.stopped_value)) return false;
                     const auto x = a.complete > 0 ? a.mean : *a.stopped_value;
                     const auto y = b.complete > 0 ? b.mean : *b.stopped_value;
                     return description.metric.maximize ? x > y : x < y;
                   });
  std::vector<double> p;
  for (std::size_t i = 0; i < board.rows.size(); ++i) {
    for (std::size_t j = i + 1; j < board.rows.size() && board.rows[j].complete > 0; ++j) {
      board.comparisons.push_back(compare(board.rows, i, j));
      if (board.comparisons.back().p) p.push_back(*board.comparisons.back().p);
    }
  }
  const auto adjusted = holm(p);
  std::size_t next = 0;
  for (auto& comparison : board.comparisons) {
    if (comparison.p) comparison.p = adjusted[next++];
  }
  return board;
}

std::string leaderboard_text(const SweepDescription& description, const Leaderboard& board) {
  std::string text = fmt::format("# {}\n\n", description.name);
  if (!description.text.empty()) text += description.text + "\n\n";
  text += fmt::format(
      "| variant | {} | seeds | best epoch | test accuracy | parameters | training | images/s |\n"
      "|---|---|---|---|---|---|---|---|\n",
      board.metric);
  for (const auto& row : board.rows) {
    text +=
        fmt::format("| {} | {} | {} of {} | {} | {} | {} | {} | {} |\n", markdown_cell(row.label),
                    shown(board.metric, row), row.complete, row.trials,
                    row.complete > 0 ? fmt::format("{:.1f}", row.best_epoch) : "-",
                    row.test_accuracy ? fmt::format("{:.2f} %", 100.0 * *row.test_accuracy) : "-",
                    row.complete > 0 ? std::to_string(row.parameters) : "-",
                    row.complete > 0 ? fmt::format("{:.0f} s", row.train_seconds) : "-",
                    row.complete > 0 ? fmt::format("{:.1f}", row.images_per_second) : "-");
  }
  if (!board.comparisons.empty()) {
    text +=
        "\nPaired by seed, two-sided t-test, Holm's correction; mean ± standard deviation over "
        "seeds above.\n\n| better | worse | difference | seeds | p | verdict "
        "|\n|---|---|---|---|---|---|\n";
  }
  for (const auto& comparison : board.comparisons) {
    text += fmt::format(
        "| {} | {} | {} | {} | {} | {} |\n", markdown_cell(board.rows[comparison.better].label),
        markdown_cell(board.rows[comparison.worse].label),
        shown(board.metric, comparison.difference), comparison.pairs,
        comparison.p ? fmt::format("{:.3g}", *comparison.p) : "-", comparison.verdict());
  }
  std::string problems;
  for (const auto& row : board.rows) {
    for (const auto& problem : row.problems)
      problems += fmt::format("- {}, {}\n", row.label, problem);
  }
  if (!problems.empty()) text += "\nNot complete:\n" + problems;
  return text;
}

void write_leaderboard(const SweepDirectory& directory, const SweepDescription& description,
                       const Leaderboard& board) {
  write_file_atomic(directory.leaderboard("md"), leaderboard_text(description, board));
  write_file_atomic(directory.leaderboard("csv"), csv_of(board));
  write_json(directory.leaderboard("json"), json_of(board));
}

}  // namespace xception
