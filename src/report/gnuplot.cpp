#include "gnuplot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "names.h"

namespace xception {
namespace {

constexpr std::size_t kMarks = 12;  // on a curve

constexpr std::array<ChartStyle, kStyles> kPalette = {{{"#0072B2", 7},
                                                       {"#D55E00", 5},
                                                       {"#009E73", 9},
                                                       {"#CC79A7", 11},
                                                       {"#E69F00", 13},
                                                       {"#56B4E9", 6},
                                                       {"#000000", 4}}};

std::string range_text(const ChartAxis& axis) {
  const auto bound = [](const std::optional<double>& value) {
    return value ? fmt::format("{}", *value) : std::string("*");
  };
  return fmt::format("[{}:{}]", bound(axis.low), bound(axis.high));
}

}  // namespace

ChartStyle style_of(int style) {
  if (style == kGray) return {"#999999", 1};
  return kPalette[static_cast<std::size_t>(style % kStyles)];
}

std::string gnuplot_text(const std::string& text) {
  std::string result = "'";
  for (const char c : printable(text)) {
    if (c == '\'') result += '\'';
    result += c;
  }
  return result + "'";
}

std::string tic_text(const std::string& text) {
  std::string result;
  for (const char c : text) result += c == '%' ? std::string("%%") : std::string(1, c);
  return gnuplot_text(result);
}

std::string axis_text(const char* name, const ChartAxis& axis) {
  return fmt::format("set {0}label {1} noenhanced\nset {0}range {2}\n{3}", name,
                     gnuplot_text(axis.label), range_text(axis),
                     axis.whole ? fmt::format("set {}tics 1\n", name) : "");
}

int width_of(const std::string& text) {
  int width = 8 * static_cast<int>(columns_of(text));
  for (const char c : text) {
    const bool wide = std::string_view("MWmw@%&").find(c) != std::string_view::npos;
    width += wide ? 6 : c >= 'A' && c <= 'Z' ? 2 : 0;
  }
  return width;
}

int widest(const std::vector<std::string>& texts) {
  int width = 0;
  for (const auto& text : texts) width = std::max(width, width_of(text));
  return width;
}

std::string data_text(const std::string& name, const Series& series) {
  std::string text = "$" + name + " << EOD\n";
  const bool ranges = series.low.size() == series.y.size();
  for (std::size_t i = 0; i < series.y.size(); ++i) {
    text += fmt::format("{:.10g} {:.10g}", series.x[i], series.y[i]);
    if (ranges) text += fmt::format(" {:.10g} {:.10g}", series.low[i], series.high[i]);
    text += '\n';
  }
  return text + "EOD\n";
}

std::vector<std::string> plots_of(const std::string& block, const Series& series) {
  auto [color, point] = style_of(series.style);
  if (series.kind == Series::Kind::dashed) point += point % 2 == 0 ? 1 : -1;  // open and filled
  const bool ranges = !series.low.empty();
  const auto title = series.label.empty() ? std::string("notitle")
                                          : "title " + gnuplot_text(series.label) + " noenhanced";
  std::vector<std::string> plots;
  if (ranges && series.kind == Series::Kind::points) {
    plots.push_back(fmt::format("${} using 1:2:3:4 with yerrorlines lc rgb '{}' pt {} ps 0.7 {}",
                                block, color, point, title));
    return plots;
  }
  const bool single = series.y.size() == 1;
  if (ranges && single) {
    plots.push_back(fmt::format("${} using 1:2:3:4 with yerrorbars lc rgb '{}' pt {} ps 0.8 {}",
                                block, color, point, title));
    return plots;
  }
  if (ranges) {
    plots.push_back(fmt::format(
        "${} using 1:3:4 with filledcurves fc rgb '{}' fs transparent solid 0.15 noborder notitle",
        block, color));
  }
  const auto style = [&]() -> std::string {
    if (single) return fmt::format("points pt {} ps 0.8", point);
    const auto marks = fmt::format("pt {} ps 0.5 pi {}", point,
                                   std::max<std::size_t>(1, series.y.size() / kMarks));
    switch (series.kind) {
      case Series::Kind::dashed:
        return "linespoints dt 2 lw 1.5 " + marks;
      case Series::Kind::steps:
        return "steps lw 2";
      case Series::Kind::points:
        return fmt::format("points pt {} ps 0.8", point);
      case Series::Kind::line:
        break;
    }
    return series.style == kGray ? "lines lw 1.2" : "linespoints lw 2 " + marks;
  }();
  plots.push_back(fmt::format("${} using 1:2 with {} lc rgb '{}' {}", block, style, color, title));
  return plots;
}

std::string plot_command(const std::vector<std::string>& plots) {
  std::string text = "plot ";
  for (std::size_t i = 0; i < plots.size(); ++i) text += (i == 0 ? "" : ", \\\n  ") + plots[i];
  return text + "\n";
}

}  // namespace xception
