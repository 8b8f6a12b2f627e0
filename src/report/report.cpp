#include "xception/report/report.h"

#include <memory>
#include <optional>

#include "report_folder.h"
#include "report_json.h"
#include "sections.h"
#include "xception/core/error.h"
#include "xception/core/files.h"
#include "xception/core/first_line.h"
#include "xception/core/json.h"
#include "xception/core/log.h"

namespace xception {
namespace {

/// The data set that all tested runs are of, for example images; what is in the way is a notice.
std::optional<Dataset> open_dataset(RunSet& set, const std::string& folder) {
  const auto& checksum = set.data_checksum;
  if (checksum.empty()) return std::nullopt;
  std::string named = folder;
  DataConfig config;
  for (const auto& run : set.runs) {
    if (named.empty()) named = run.config.value("/data/dir"_json_pointer, std::string());
    config.format = run.config.value("/data/format"_json_pointer, config.format);
  }
  const std::string left_out = "example images are left out: ";
  try {
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
  ReportParts parts;
  parts.baseline = load_baseline(request.baseline);
  parts.set = collect_runs(request.paths, request.checkpoint);
  ReportFolder folder(request, parts.set);
  parts.figures = folder.unfinished() / "figures";
  std::optional<ChartBook> charts;
  if (request.figures) parts.charts = &charts.emplace(parts.figures);
  parts.results = compare_variants(parts.set);
  parts.drawn = variants_to_draw(parts.set, parts.results);
  const auto dataset = request.figures ? open_dataset(parts.set, request.data) : std::nullopt;
  if (dataset) parts.dataset = &*dataset;

  parts.document.title = title_of(parts.set);
  add_conclusion(parts);
  add_table(parts);
  add_differences(parts);
  add_comparisons(parts);
  add_curves(parts);
  add_errors(parts);
  add_other_data(parts);
  add_origin(parts);
  if (charts) charts->draw();

  auto json = to_json(parts);
  json["sources"] = folder.sources();
  write_json(folder.unfinished() / ReportFolder::kJson, json);
  write_file_atomic(folder.unfinished() / "report.md", to_markdown(parts.document));
  write_file_atomic(folder.unfinished() / "report.html", to_html(parts.document, parts.figures));
  folder.publish();
  for (const auto& sentence : conclusion_of(parts.set, parts.results)) spdlog::info("{}", sentence);
  if (!parts.set.notices.empty()) {
    spdlog::info("{} notices; they are in the report under What is missing",
                 parts.set.notices.size());
  }
  std::size_t runs = parts.set.runs.size();
  std::size_t variants = parts.set.variants.size();
  for (const auto& other : parts.set.other_data) {
    runs += other.runs.size();
    variants += other.variants.size();
  }
  spdlog::info("{}: {} {}, {} {}", (folder.path() / "report.html").string(), runs,
               runs == 1 ? "run" : "runs", variants, variants == 1 ? "variant" : "variants");
  return folder.path();
}

}  // namespace xception
