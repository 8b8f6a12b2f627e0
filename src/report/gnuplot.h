#pragma once

#include <string>
#include <vector>

#include "xception/report/charts.h"

// The pieces of a chart in gnuplot's language.
namespace xception {

/// How gnuplot draws what belongs to a series: a color as #RRGGBB, and the number of its symbol.
struct ChartStyle {
  const char* color;
  int point;
};

[[nodiscard]] ChartStyle style_of(int style);

/// Text for gnuplot. Single quotes: nothing inside is a command or an escape.
[[nodiscard]] std::string gnuplot_text(const std::string& text);

/// The label of a tic, which gnuplot takes for a format.
[[nodiscard]] std::string tic_text(const std::string& text);

/// Label, range and tics of an axis. name: x or y.
[[nodiscard]] std::string axis_text(const char* name, const ChartAxis& axis);

/// About how wide a text is, in px; no narrower than it is drawn.
[[nodiscard]] int width_of(const std::string& text);
[[nodiscard]] int widest(const std::vector<std::string>& texts);

/// A block of data of that name: a line a point.
[[nodiscard]] std::string data_text(const std::string& name, const Series& series);

/// What draws one series from its block of data: the parts of a plot command.
[[nodiscard]] std::vector<std::string> plots_of(const std::string& block, const Series& series);

/// One plot command of such parts.
[[nodiscard]] std::string plot_command(const std::vector<std::string>& plots);

}  // namespace xception
