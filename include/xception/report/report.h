#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace xception {

/// What the user asked `xception report` for.
struct ReportRequest {
  std::vector<std::filesystem::path> paths = {};  ///< of runs, sweeps, folders of runs
  /// Folder; empty: the first of reports/<name of the first path>, ...-2, ...-3 that is free.
  std::filesystem::path out = {};
  bool overwrite = false;             ///< whatever of a report's names is in `out`
  std::string baseline = "notebook";  ///< as load_baseline takes it
  std::string checkpoint = "best";    ///< whose test answers: best or last
  std::string data = {};              ///< folder of the data set; empty: the runs' own
  bool figures = true;
};

/// Writes report.md, report.html, report.json and, for the first, the folder figures/. Reads run
/// directories; opens the data set only for example images, and leaves these out, saying so, where
/// its checksum isn't the runs'. All is made in a folder beside and moved at the end. Returns the
/// folder. Errors (input): no runs, no gnuplot, `out` holds something else than a report of the
/// same paths or runs; (run): the folder cannot be written.
std::filesystem::path write_report(const ReportRequest& request);

}  // namespace xception
