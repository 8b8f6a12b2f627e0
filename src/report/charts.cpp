#include "xception/report/charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <utility>

#include "gnuplot.h"
#include "xception/core/error.h"
#include "xception/core/files.h"
#include "xception/core/shell.h"

namespace xception {
namespace {

// In px. Where gnuplot lays things out itself it knows neither a text's width nor that the legend
// must keep clear of the axis, so the margins are ours.
constexpr int kWidth = 560;
constexpr int kTop = 42;         // with the title
constexpr int kPlot = 250;       // height of a plot of lines
constexpr int kAxis = 64;        // below a plot: tics and the axis's label
constexpr int kLegend = 18;      // a line of the legend
constexpr int kCell = 38;        // of a heat map
constexpr int kNarrowest = 420;  // heat map

/// Where a plot begins and ends, in px from the left and from the bottom.
std::string margins_text(int width, int height, std::optional<int> left, int right, int bottom) {
  const auto share = [](int of, int all) { return static_cast<double>(of) / all; };
  return fmt::format(
      "{}set rmargin at screen {}\nset tmargin at screen {}\nset bmargin at screen {}\n",
      left ? fmt::format("set lmargin at screen {}\n", share(*left, width)) : "",
      share(width - right, width), share(height - kTop, height), share(bottom, height));
}

/// Room around points that all have the same x, which gnuplot would put between odd tics.
ChartAxis with_room(const ChartAxis& axis, const std::vector<Series>& series) {
  std::optional<double> low;
  std::optional<double> high;
  for (const auto& one : series) {
    for (const auto x : one.x) {
      low = std::min(low.value_or(x), x);
      high = std::max(high.value_or(x), x);
    }
  }
  auto result = axis;
  if (!low || *low < *high) return result;
  if (!result.low) result.low = axis.whole ? *low - 1 : 0.9 * *low;
  if (!result.high) result.high = axis.whole ? *low + 1 : 1.1 * *low;
  return result;
}

/// What gnuplot stopped at: its first line that is no warning.
std::string complaint_of(const std::string& output, const std::string& missing) {
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && line.find("warning") == std::string::npos) return line;
  }
  return "wrote no figure " + missing;
}

}  // namespace

ChartBook::ChartBook(std::filesystem::path folder) : folder_(std::move(folder)) {
  const auto answer = run_command("gnuplot --version");
  if (answer.code == 0) return;
  throw input_error("report",
                    "gnuplot: not found; install it (Debian: apt-get install gnuplot-nox), or give "
                    "--no-figures");
}

void ChartBook::start(const std::string& name, const std::string& title, int width, int height) {
  names_.push_back(name);
  script_ += fmt::format(
      "reset\n"
      "set terminal svg noenhanced size {},{} dynamic font 'sans-serif,13' background '#ffffff'\n"
      "set output '{}.svg'\n"
      "set label 1 {} at screen 0.5, screen {} center noenhanced\n"
      "set key noenhanced\n",
      width, height, name, gnuplot_text(title), 1.0 - 20.0 / height);
}

void ChartBook::add(const std::string& name, const LineChart& chart) {
  int in_legend = 0;
  for (const auto& series : chart.series) {
    in_legend += series.label.empty() || series.y.empty() ? 0 : 1;
  }
  const int legend = in_legend * kLegend + 12;
  const int height = kTop + kPlot + kAxis + legend;
  start(name, chart.title, kWidth, height);
  script_ += axis_text("x", with_room(chart.x, chart.series)) + axis_text("y", chart.y);
  script_ += margins_text(kWidth, height, std::nullopt, 24, kAxis + legend);
  script_ += fmt::format(
      "set key at screen 0.5, screen {} center top vertical maxcols 1 samplen 3 reverse Left\n"
      "set offsets 0, 0, graph 0.04, graph 0.04\n"
      "set grid lc rgb '#dddddd' lw 1 lt 1\nset border 3 lc rgb '#555555'\nset tics nomirror\n",
      static_cast<double>(legend) / height);
  std::vector<std::string> plots;
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    if (chart.series[i].y.empty()) continue;
    const auto block = fmt::format("data{}", i);
    script_ += data_text(block, chart.series[i]);
    for (auto& plot : plots_of(block, chart.series[i])) plots.push_back(std::move(plot));
  }
  if (chart.diagonal) {
    plots.push_back("[0:1] x with lines lc rgb '#999999' dt 2 notitle");
  }
  if (plots.empty()) plots.push_back("[0:1][0:1] NaN notitle");
  script_ += plot_command(plots);
}

void ChartBook::add(const std::string& name, const IntervalChart& chart) {
  const auto rows = static_cast<int>(chart.rows.size());
  const int height = kTop + 34 * rows + kAxis;
  std::vector<std::string> labels;
  for (const auto& row : chart.rows) labels.push_back(row.label);
  start(name, chart.title, kWidth, height);
  script_ += axis_text("x", chart.x) + margins_text(kWidth, height, 24 + widest(labels), 24, kAxis);
  script_ += fmt::format(
      "set yrange [{}:0.3]\nset border 1 lc rgb '#555555'\nset tics nomirror\nunset key\n"
      "set grid x lc rgb '#dddddd' lw 1 lt 1\nset ytics scale 0 noenhanced (",
      static_cast<double>(rows) + 0.7);
  for (int i = 0; i < rows; ++i) {
    script_ += fmt::format("{}{} {}", i == 0 ? "" : ", ",
                           tic_text(chart.rows[static_cast<std::size_t>(i)].label), i + 1);
  }
  script_ += ")\n";
  std::vector<std::string> plots;
  for (int i = 0; i < rows; ++i) {
    const auto& row = chart.rows[static_cast<std::size_t>(i)];
    const auto [color, point] = style_of(row.style);
    script_ += fmt::format("$row{} << EOD\n{:.10g} {} {:.10g} {:.10g}\nEOD\n", i, row.value, i + 1,
                           row.low, row.high);
    plots.push_back(fmt::format(
        "$row{} using 1:2:3:4 with xerrorbars lc rgb '{}' lw 2 pt {} ps 0.8 title {} noenhanced", i,
        color, point, gnuplot_text(row.label)));
    if (row.dots.empty()) continue;
    script_ += fmt::format("$dots{} << EOD\n", i);
    for (const auto dot : row.dots) script_ += fmt::format("{:.10g} {}\n", dot, i + 1.33);
    script_ += "EOD\n";
    plots.push_back(
        fmt::format("$dots{} using 1:2 with points lc rgb '{}' pt {} ps 0.5", i, color, point));
  }
  script_ += plot_command(plots);
}

void ChartBook::add(const std::string& name, const HeatMap& chart) {
  const auto n = chart.labels.size();
  const int side = kCell * static_cast<int>(n);
  const int labels_width = widest(chart.labels);
  const int left = 56 + labels_width;
  const int bottom = kAxis + labels_width * 3 / 4;  // they are turned by 45 degrees
  const int width = std::max({left + side + 24, kNarrowest, width_of(chart.title) + 24});
  const int right = std::max(24, (width - left - side) / 2);
  const int height = kTop + side + bottom;
  start(name, chart.title, width, height);
  script_ += margins_text(width, height, width - side - right, right, bottom);
  script_ += fmt::format(
      "set xlabel {} noenhanced\nset ylabel {} noenhanced\nunset key\nunset colorbox\n"
      "set tics scale 0\nset palette defined (0 '#ffffff', 1 '#08519c')\nset cbrange [0:1]\n"
      "set xrange [-0.5:{}]\nset yrange [{}:-0.5]\n",
      gnuplot_text(chart.column_axis), gnuplot_text(chart.row_axis), static_cast<double>(n) - 0.5,
      static_cast<double>(n) - 0.5);
  std::string tics;
  for (std::size_t i = 0; i < n; ++i) {
    tics += fmt::format("{}{} {}", i == 0 ? "" : ", ", tic_text(chart.labels[i]), i);
  }
  script_ += fmt::format("set xtics rotate by 45 right noenhanced ({})\n", tics);
  script_ += fmt::format("set ytics noenhanced ({})\n$cells << EOD\n", tics);
  for (std::size_t row = 0; row < n; ++row) {
    for (std::size_t column = 0; column < n; ++column) {
      script_ += fmt::format("{} {} {:.6g}\n", column, row, chart.shares[row][column]);
    }
  }
  script_ += "EOD\n";
  // Percent where there is any to read; white on dark cells.
  const auto labels = [](const char* test, const char* color) {
    return fmt::format(
        "$cells using ($3 {} ? $1 : NaN):2:($3 < 0.005 ? '' : sprintf('%.0f', 100 * $3)) with "
        "labels font ',11' tc rgb '{}'",
        test, color);
  };
  script_ += plot_command({"$cells using 1:2:3 with image pixels", labels("< 0.5", "#222222"),
                           labels(">= 0.5", "#ffffff")});
}

void ChartBook::draw() {
  if (names_.empty()) return;
  // An older picture must not pass for one that failed.
  for (const auto& name : names_) std::filesystem::remove(folder_ / (name + ".svg"));
  const auto file = folder_ / ".charts.gnuplot";
  write_file_atomic(file, "set encoding utf8\nset decimalsign '.'\n" + script_ + "unset output\n");
  // Nothing of the user's may change a chart: neither start-up files nor a locale. In its folder a
  // file's name is ours alone, which gnuplot might otherwise take for a command.
  const auto answer =
      run_command("cd " + shell_quoted(std::filesystem::absolute(folder_).string()) +
                  " && env -u GNUTERM -u GNUPLOT_LIB -u GNUPLOT_DRIVER_DIR "
                  "LC_ALL=C.UTF-8 gnuplot -d .charts.gnuplot");
  std::filesystem::remove(file);
  const auto missing = std::find_if(names_.begin(), names_.end(), [&](const auto& name) {
    std::error_code error;
    const auto size = std::filesystem::file_size(folder_ / (name + ".svg"), error);
    return error || size == 0;
  });
  script_.clear();
  if (answer.code == 0 && missing == names_.end()) return;
  throw run_error("report", "gnuplot: {}; --no-figures leaves the charts out",
                  complaint_of(answer.text, missing == names_.end() ? std::string() : *missing));
}

}  // namespace xception
