#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "xception/core/folder_lock.h"
#include "xception/report/report.h"
#include "xception/report/run_set.h"

namespace xception {

/// The folder that a report goes to. It is made in a folder within, so that what has the report's
/// names is always whole.
class ReportFolder {
 public:
  static constexpr const char* kJson = "report.json";

  /// Makes the folder, and proves that files can be written there. Errors (input): they cannot;
  /// something else has the names of a report's files there; another process writes there.
  ReportFolder(const ReportRequest& request, const RunSet& set);
  /// What wasn't published is removed.
  ~ReportFolder();
  ReportFolder(const ReportFolder&) = delete;
  ReportFolder& operator=(const ReportFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// Where the report is made; with a folder figures, if it is to have any.
  [[nodiscard]] std::filesystem::path unfinished() const { return path_ / ".unfinished"; }
  /// What report.json keeps, so that a report of the same is known: the paths and the runs.
  [[nodiscard]] const nlohmann::ordered_json& sources() const { return sources_; }

  /// Moves the report to its place. Figures of the report before that this one doesn't have go.
  /// Errors (run): a file cannot be moved.
  void publish();

 private:
  void check_names(const ReportRequest& request) const;

  std::filesystem::path path_;
  nlohmann::ordered_json sources_;
  bool created_ = false;
  std::optional<FolderLock> lock_;
};

}  // namespace xception
