#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace xception {

/// The gray of reference curves; other styles count from 0 and repeat after kStyles.
inline constexpr int kGray = -1;
/// Colors that people with any color vision tell apart (Okabe and Ito), each with a point of its
/// own, so that a print without colors can be read too.
inline constexpr int kStyles = 7;

/// An axis: its label with the unit; its range where it must not follow the data.
struct ChartAxis {
  std::string label = {};
  std::optional<double> low = {};
  std::optional<double> high = {};
  bool whole = false;  ///< tics at whole numbers only
};

/// One curve.
struct Series {
  enum class Kind { line, dashed, steps, points };
  std::string label = {};  ///< in the key; empty: not there
  std::vector<double> x = {};
  std::vector<double> y = {};
  std::vector<double> low = {};  ///< of a band around y (bars, with Kind::points), or empty
  std::vector<double> high = {};
  int style = 0;
  Kind kind = Kind::line;
};

struct LineChart {
  std::string title = {};
  ChartAxis x = {};
  ChartAxis y = {};
  std::vector<Series> series = {};
  bool diagonal = false;  ///< a gray line from (0, 0) to (1, 1)
};

/// Values with ranges, one row each, from the top.
struct IntervalChart {
  struct Row {
    std::string label = {};
    double value = 0.0;
    double low = 0.0;
    double high = 0.0;
    std::vector<double> dots = {};  ///< the single values
    int style = 0;
  };
  std::string title = {};
  ChartAxis x = {};
  std::vector<Row> rows = {};
};

/// A square table of shares, 0 .. 1, each written into its cell in percent.
struct HeatMap {
  std::string title = {};
  std::string row_axis = {};
  std::string column_axis = {};
  std::vector<std::string> labels = {};          ///< of rows and columns
  std::vector<std::vector<double>> shares = {};  ///< [row][column]
};

/// Draws SVG files with gnuplot (version 5).
class ChartBook {
 public:
  /// Charts are written into `folder`. Errors (input): there is no gnuplot.
  explicit ChartBook(std::filesystem::path folder);

  // Each adds a chart as `folder/NAME.svg`.
  void add(const std::string& name, const LineChart& chart);
  void add(const std::string& name, const IntervalChart& chart);
  void add(const std::string& name, const HeatMap& chart);

  /// Draws all that were added. Errors (run): gnuplot failed; what it said.
  void draw();

 private:
  void start(const std::string& name, const std::string& title, int width, int height);

  std::filesystem::path folder_;
  std::string script_;
  std::vector<std::string> names_;
};

}  // namespace xception
