#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "xception/bench/output.h"
#include "xception/core/format.h"
#include "xception/parallel/device.h"
#include "xception/train/environment.h"

namespace xception {
namespace {

/// A column: its title and a cell a case. One whose cells are all empty is left out.
struct Column {
  std::string title;
  bool text = false;  ///< aligned left
  std::vector<std::string> cells = {};
};

/// Columns side by side, two blanks between them.
std::vector<std::string> align(const std::vector<Column>& columns, std::size_t rows) {
  std::vector<std::string> lines(rows + 1);
  for (const auto& column : columns) {
    std::size_t width = 0;
    for (const auto& cell : column.cells) width = std::max(width, cell.size());
    if (width == 0) continue;
    width = std::max(width, column.title.size());
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const auto& cell = i == 0 ? column.title : column.cells[i - 1];
      if (!lines[i].empty()) lines[i] += "  ";
      lines[i] +=
          column.text ? fmt::format("{:<{}}", cell, width) : fmt::format("{:>{}}", cell, width);
    }
  }
  for (auto& line : lines) line.erase(line.find_last_not_of(' ') + 1);
  return lines;
}

/// With three digits, or all before the point.
std::string short_number(double value) {
  return value < 100 ? fmt::format("{:#.3g}", value) : fmt::format("{:.0f}", value);
}

std::string percent(double share) {
  return fmt::format("{:.0f} %", 100.0 * share);
}

/// A table in the making: cells are added to columns by title, in the order of the first case.
class Table {
 public:
  void add(const std::string& title, const std::string& cell, bool text = false) {
    if (next_ == columns_.size()) columns_.push_back({.title = title, .text = text});
    columns_[next_++].cells.push_back(cell);
  }
  /// The cell is empty unless `known`.
  template <class Value, class Format>
  void add(const std::string& title, const std::optional<Value>& value, Format format) {
    add(title, value ? format(*value) : std::string());
  }
  void end_row() {
    next_ = 0;
    ++rows_;
  }
  [[nodiscard]] std::vector<std::string> lines() const { return align(columns_, rows_); }

 private:
  std::vector<Column> columns_;
  std::size_t next_ = 0;
  std::size_t rows_ = 0;
};

void add_case(Table& table, const CaseResult& result, const BenchResults& results) {
  const auto figures = figures_of(result, results.mode, results.machine);
  const auto& config = result.item.config;
  const bool measured = !result.images_per_second.empty();
  const auto measurement = [&](const std::string& title, const std::string& cell) {
    table.add(title, measured ? cell : "");
  };
  if (results.mode != BenchMode::data) {
    table.add("model", config.model.name + ":" + config.model.variant, /*text=*/true);
  }
  table.add("px", std::to_string(config.data.image_size));
  table.add("precision", result.item.precision, /*text=*/true);
  table.add("batch", result.item.batch > 0 ? std::to_string(result.item.batch) : "auto");
  const auto& speed = figures.images_per_second;
  measurement("images/s", fmt::format("{:.1f}", speed.median));
  measurement("min .. max", fmt::format("{:.1f} .. {:.1f}", speed.min, speed.max));
  measurement("ms/step", short_number(figures.step_milliseconds));
  for (const auto phase : step_phases()) {
    const double time = figures.split.at(static_cast<std::size_t>(phase));
    table.add(phase_name(phase), time > 0 ? short_number(time) : "");
  }
  table.add("memory", result.peak_memory, format_bytes);
  const auto cost = result.complexity.multiply_adds;
  table.add("GMAC", cost > 0 ? fmt::format("{:.3f}", static_cast<double>(cost) * 1e-9) : "");
  table.add("TFLOP/s", figures.flops_per_second,
            [](double rate) { return short_number(rate * 1e-12); });
  table.add("of peak", figures.peak_share, percent);
  table.add("GB/s", figures.bytes_per_second,
            [](double rate) { return short_number(rate * 1e-9); });
  table.add("of copy", figures.copy_share, percent);
  const auto operators = result.operators.operators;
  table.add("operators", operators > 0 ? std::to_string(operators) : "");
  table.add("launches", result.kernel_launches(), [](std::int64_t n) { return std::to_string(n); });
  std::string status;
  if (result.status != CaseStatus::done) status = status_name(result.status);
  if (!result.error.empty() && result.error != status) status += ": " + result.error;
  table.add("status", status, /*text=*/true);
  table.end_row();
}

/// `machine's best: fp32 matrix product 0.15 TFLOP/s, copy 12.9 GB/s`
std::string machine_line(const MachineRates& machine) {
  std::string text;
  for (const auto& [precision, rates] : machine.products) {
    text += fmt::format("{} matrix product {} TFLOP/s, ", precision,
                        short_number(spread_of(rates).median * 1e-12));
  }
  text += machine.copies.empty()
              ? "not measured"
              : fmt::format("copy {} GB/s", short_number(spread_of(machine.copies).median * 1e-9));
  return "machine's best: " + text;
}

/// ` with adam`, ` with sgd and ema`: what a training step does after backward; else empty.
std::string update_text(const BenchResults& results) {
  if (results.mode != BenchMode::train || results.cases.empty()) return "";
  const auto& config = results.cases.front().item.config;
  const auto& average = config.average.name;
  return " with " + config.optimizer.name + (average == "none" ? "" : " and " + average);
}

}  // namespace

std::vector<std::string> bench_header(const BenchResults& results) {
  const auto& environment = results.environment;
  const auto text = [&](const char* key) { return environment.at(key).get<std::string>(); };
  const auto count = results.cases.size();
  return {fmt::format("bench: {}{}, {} case{}, {} window{} each, {}", bench_mode_name(results.mode),
                      update_text(results), count, count == 1 ? "" : "s", results.windows,
                      results.windows == 1 ? "" : "s", results.data),
          fmt::format("machine: {}, {}, {} threads; device {}: {}", text("host"), text("processor"),
                      environment.at("threads").get<int>(), results.device.str(),
                      describe_device(results.device).name),
          fmt::format("xception {} ({}), {}; {}", text("xception"), text("git_commit"),
                      library_line(), text("time"))};
}

std::vector<std::string> bench_table(const BenchResults& results) {
  Table table;
  for (const auto place : order_by_speed(results.cases)) {
    add_case(table, results.cases[place], results);
  }
  auto lines = table.lines();
  lines.push_back(machine_line(results.machine));
  lines.emplace_back(
      "images/s: median and range of the windows; data to optimizer: milliseconds of a step, "
      "median of steps with a probe; memory: peak of the case alone");
  if (results.mode != BenchMode::data) {
    lines.push_back(fmt::format(
        "GMAC: 10^9 multiply-adds an image, forward; TFLOP/s: 2 a multiply-add{}",
        results.mode == BenchMode::train ? ", a training step as 3 forward passes" : ""));
  }
  lines.emplace_back(
      "GB/s: what operators read and write, not what reaches the memory: caches make it more than "
      "a copy; operators: those of a step that move data");
  return lines;
}

}  // namespace xception
