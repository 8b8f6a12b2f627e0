#include "xception/report/report.h"

#include <memory>
#include <optional>

#include "report_json.h"
#include "sections.h"
#include "xception/core/error.h"
#include "xception/core/files.h"
#include "xception/core/first_line.h"
#include "xception/core/json.h"
#include "xception/core/log.h"

namespace xception {
namespace {

std::filesystem::path choose_folder(const ReportRequest& request) {
  if (!request.out.empty()) return request.out;
  auto first = std::filesystem::absolute(request.paths.front()).lexically_normal();
  if (first.filename().empty()) first = first.parent_path();
  return std::filesystem::path("reports") / first.filename();
}

/// Makes the folder and proves that files can be written there, before anything is read.
void create_folder(const std::filesystem::path& folder, bool figures) {
  try {
    std::filesystem::create_directories(figures ? folder / "figures" : folder);
    write_file_atomic(folder / ".written", "");
    std::filesystem::remove(folder / ".written");
  } catch (const std::exception& error) {
    throw input_error("report", "--out {}: cannot be written ({}); choose another folder",
                      folder.string(), first_line(error.what()));
  }
}

/// The data set that all tested runs are of, for example images; what is in the way is a notice.
std::optional<Dataset> open_dataset(RunSet& set, const std::string& folder) {
  std::string checksum;
  std::string named = folder;
  for (const auto& run : set.runs) {
    if (!run.answers) continue;
    if (checksum.empty()) checksum = run.data_checksum();
    if (checksum != run.data_checksum()) return std::nullopt;  // noticed already
    if (named.empty()) named = run.config.value("/data/dir"_json_pointer, std::string());
  }
  if (checksum.empty()) return std::nullopt;
  const std::string left_out = "example images are left out: ";
  try {
    DataConfig config;
    config.dir = named;
    auto dataset = load_dataset(config);
    if (dataset.checksum == checksum) return dataset;
    set.notices.push_back(fmt::format("{}{} is not the runs' data (checksum {}..., expected {}...)",
                                      left_out, dataset.folder.string(),
                                      dataset.checksum.substr(0, 12), checksum.substr(0, 12)));
  } catch (const std::exception& error) {
    set.notices.push_back(
        fmt::format("{}{} (--data names the folder)", left_out, first_line(error.what())));
  }
  return std::nullopt;
}

std::string title_of(const RunSet& set) {
  if (set.variants.size() > 4) return fmt::format("Comparison of {} variants", set.variants.size());
  std::string title;
  for (const auto& variant : set.variants) {
    title += (title.empty() ? "" : " against ") + variant.label;
  }
  return title;
}

}  // namespace

std::filesystem::path write_report(const ReportRequest& request) {
  const auto folder = choose_folder(request);
  ReportParts parts;
  parts.baseline = load_baseline(request.baseline);
  parts.set = collect_runs(request.paths, request.checkpoint);
  create_folder(folder, request.figures);
  parts.figures = folder / "figures";
  std::optional<ChartBook> charts;
  if (request.figures) parts.charts = &charts.emplace(parts.figures);
  parts.results = compare_variants(parts.set);
  parts.drawn = variants_to_draw(parts.set, parts.results);
  const auto dataset = request.figures ? open_dataset(parts.set, request.data) : std::nullopt;
  if (dataset) parts.dataset = &*dataset;

  parts.document.title = title_of(parts.set);
  add_conclusion(parts);
  add_table(parts);
  add_comparisons(parts);
  add_curves(parts);
  add_errors(parts);
  add_origin(parts);
  if (charts) charts->draw();

  write_json(folder / "report.json", to_json(parts));
  write_file_atomic(folder / "report.md", to_markdown(parts.document));
  write_file_atomic(folder / "report.html", to_html(parts.document, parts.figures));
  for (const auto& sentence : conclusion_of(parts.set, parts.results)) spdlog::info("{}", sentence);
  if (!parts.set.notices.empty()) {
    spdlog::info("{} notices; they are in the report under What is missing",
                 parts.set.notices.size());
  }
  spdlog::info("{}: {} runs, {} variants", (folder / "report.html").string(), parts.set.runs.size(),
               parts.set.variants.size());
  return folder;
}

}  // namespace xception
