#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <stdexcept>

#include "xception/core/error.h"
#include "xception/core/json.h"
#include "xception/report/run_record.h"
#include "xception/train/run_directory.h"

namespace xception {
namespace {

bool is_run(const std::filesystem::path& folder) {
  const RunDirectory directory(folder);
  return directory.holds_run() || std::filesystem::exists(directory.summary()) ||
         std::filesystem::exists(directory.history_jsonl());
}

RunFolder run_folder(const std::filesystem::path& folder) {
  auto whole = std::filesystem::absolute(folder).lexically_normal();
  if (whole.filename().empty()) whole = whole.parent_path();
  return {folder, whole.filename().string()};
}

std::vector<RunFolder> runs_below(const std::filesystem::path& folder) {
  std::vector<RunFolder> runs;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.is_directory() && is_run(entry.path())) runs.push_back(run_folder(entry.path()));
  }
  std::sort(runs.begin(), runs.end(),
            [](const RunFolder& a, const RunFolder& b) { return a.folder < b.folder; });
  return runs;
}

/// The trials that a sweep has now, so far as they have begun. Runs of trials that it had before
/// its file was edited lie beside them.
std::vector<RunFolder> runs_of_sweep(const std::filesystem::path& sweep,
                                     std::vector<std::string>& notices) {
  const auto file = sweep / "sweep.json";
  std::vector<RunFolder> runs;
  std::set<std::filesystem::path> listed;
  std::size_t waiting = 0;
  try {
    const auto json = read_json(file, "report");
    const auto variants = json.at("variants").get<std::vector<std::string>>();
    for (const auto& trial : json.at("trials")) {
      const auto run = sweep / "trials" / trial.at("name").get<std::string>();
      listed.insert(run);
      if (is_run(run)) {
        runs.push_back({run, variants.at(trial.at("variant").get<std::size_t>())});
      } else {
        ++waiting;
      }
    }
  } catch (const nlohmann::json::exception& error) {
    throw input_error("report", "{}: damaged or altered: {}", file.string(), error.what());
  } catch (const std::out_of_range&) {
    throw input_error("report", "{}: damaged or altered: a trial of a variant that isn't there",
                      file.string());
  }
  std::size_t dropped = 0;
  for (const auto& run : runs_below(sweep / "trials"))
    dropped += listed.contains(run.folder) ? 0 : 1;
  if (waiting > 0) {
    notices.push_back(
        fmt::format("{}: {} of {} trials have not begun", sweep.string(), waiting, listed.size()));
  }
  if (dropped > 0) {
    notices.push_back(fmt::format("{}: left out: {} {} that the sweep no longer has",
                                  sweep.string(), dropped, dropped == 1 ? "trial" : "trials"));
  }
  return runs;
}

}  // namespace

std::vector<RunFolder> find_runs(const std::vector<std::filesystem::path>& paths,
                                 std::vector<std::string>& notices) {
  std::vector<RunFolder> runs;
  std::set<std::filesystem::path> seen;
  for (const auto& path : paths) {
    if (!std::filesystem::is_directory(path)) {
      throw input_error("report",
                        "{}: no such folder; expected a run's, a sweep's or a folder of runs",
                        path.string());
    }
    auto found = is_run(path)                                   ? std::vector{run_folder(path)}
                 : std::filesystem::exists(path / "sweep.json") ? runs_of_sweep(path, notices)
                                                                : runs_below(path);
    if (found.empty()) {
      throw input_error("report",
                        "{}: no run in it; expected a run directory (with config.json), a sweep's, "
                        "or a folder of runs",
                        path.string());
    }
    for (auto& run : found) {
      if (seen.insert(std::filesystem::canonical(run.folder)).second) {
        runs.push_back(std::move(run));
      } else {
        notices.push_back(
            fmt::format("{}: given more than once, counted once", run.folder.string()));
      }
    }
  }
  return runs;
}

}  // namespace xception
