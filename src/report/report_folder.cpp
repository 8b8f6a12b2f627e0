#include "report_folder.h"

#include <algorithm>
#include <array>

#include "xception/core/error.h"
#include "xception/core/json.h"
#include "xception/core/output_path.h"

namespace xception {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// report.json is the last to be moved: with it the report is whole.
constexpr std::array<const char*, 3> kFiles = {"report.md", "report.html", ReportFolder::kJson};

Json sorted_paths(std::vector<fs::path> paths) {
  for (auto& path : paths) path = fs::canonical(path);
  std::sort(paths.begin(), paths.end());
  Json json = Json::array();
  for (const auto& path : paths) json.push_back(path.string());
  return json;
}

Json sources_of(const ReportRequest& request, const RunSet& set) {
  std::vector<fs::path> runs;
  for (const auto& run : set.runs) runs.push_back(run.folder);
  for (const auto& other : set.other_data) {
    for (const auto& run : other.runs) runs.push_back(run.folder);
  }
  return {{"paths", sorted_paths(request.paths)}, {"runs", sorted_paths(runs)}};
}

/// `reports/<name of the first path>`
fs::path default_base(const ReportRequest& request) {
  auto first = fs::absolute(request.paths.front()).lexically_normal();
  if (first.filename().empty()) first = first.parent_path();
  const auto name = first.filename();
  return fs::path("reports") / (name.empty() ? fs::path("all") : name);
}

/// What report.json in a folder says; an empty object if there is none that can be read.
Json report_in(const fs::path& folder) {
  try {
    auto json = Json(read_json(folder / ReportFolder::kJson, "report"));
    if (json.is_object()) return json;
  } catch (const Error&) {
    return Json::object();
  }
  return Json::object();
}

/// Whether two reports are of the same: asked for by the same paths, or of the same runs.
bool same_sources(const Json& a, const Json& b) {
  return a.is_object() &&
         (a.value("paths", Json()) == b.at("paths") || a.value("runs", Json()) == b.at("runs"));
}

}  // namespace

ReportFolder::ReportFolder(const ReportRequest& request, const RunSet& set)
    : path_(request.out), sources_(sources_of(request, set)) {
  try {
    if (path_.empty()) {
      const auto base = default_base(request);
      fs::create_directories(base.parent_path());
      // Another process may take the number first.
      while (!created_) {
        path_ = free_path(base);
        created_ = fs::create_directory(path_);
      }
    } else {
      created_ = fs::create_directories(path_);
    }
    check_names(request);
    fs::create_directories(unfinished());
    lock_.emplace(unfinished(), fmt::format("--out {}: another process writes a report there; wait "
                                            "for it or choose another folder",
                                            path_.string()));
    // Of a report that was killed.
    for (const auto* name : kFiles) fs::remove(unfinished() / name);
    fs::remove_all(unfinished() / "figures");
    if (request.figures) fs::create_directory(unfinished() / "figures");
  } catch (const fs::filesystem_error& error) {
    throw input_error("report", "--out {}: cannot be written ({}); choose another folder",
                      path_.string(), error.code().message());
  }
}

ReportFolder::~ReportFolder() {
  lock_.reset();
  std::error_code error;
  fs::remove_all(unfinished(), error);
  if (created_) fs::remove(path_, error);  // if it is empty
}

void ReportFolder::check_names(const ReportRequest& request) const {
  if (request.overwrite) return;
  const auto report = report_in(path_);
  const auto found = report.find("sources");
  if (found != report.end() && same_sources(*found, sources_)) return;
  for (const auto* name : {ReportFolder::kJson, "report.md", "report.html", "figures"}) {
    if (!fs::exists(path_ / name)) continue;
    throw input_error(
        "report", "--out {}: holds {}; choose another folder, or give --overwrite", path_.string(),
        found != report.end() ? std::string("a report of other runs")
                              : fmt::format("{}, which isn't of a report of these runs", name));
  }
}

void ReportFolder::publish() {
  try {
    const auto before = report_in(path_);
    for (const auto& name : before.value("figures", Json::array())) {
      const fs::path file = name.is_string() ? name.get<std::string>() : std::string();
      if (!file.empty() && file == file.filename()) fs::remove(path_ / "figures" / file);
    }
    if (fs::exists(unfinished() / "figures")) {
      fs::create_directories(path_ / "figures");
      for (const auto& entry : fs::directory_iterator(unfinished() / "figures")) {
        fs::rename(entry.path(), path_ / "figures" / entry.path().filename());
      }
    }
    for (const auto* name : kFiles) fs::rename(unfinished() / name, path_ / name);
  } catch (const fs::filesystem_error& error) {
    throw run_error("report", "{}: cannot be written: {}", path_.string(), error.code().message());
  }
}

}  // namespace xception
