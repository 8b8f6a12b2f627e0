#include <fmt/ranges.h>

#include <map>
#include <set>

#include "sections.h"

namespace xception {
namespace {

constexpr std::size_t kMostRunRows = 60;

std::string text_of(const nlohmann::ordered_json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return "";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

/// A value that each run has, with how many have it where they aren't all alike.
std::string values_of(const RunSet& set, const std::function<std::string(const RunRecord&)>& get) {
  std::map<std::string, std::size_t> counts;
  for (const auto& run : set.runs) {
    if (const auto value = get(run); !value.empty()) ++counts[value];
  }
  std::vector<std::string> parts;
  for (const auto& [value, count] : counts) {
    parts.push_back(counts.size() == 1 && count == set.runs.size()
                        ? value
                        : fmt::format("{} ({} of {} runs)", value, count, set.runs.size()));
  }
  return parts.empty() ? "-" : fmt::format("{}", fmt::join(parts, "; "));
}

void add_environment(ReportParts& parts) {
  const auto from_environment = [&](const char* key) {
    return values_of(parts.set,
                     [key](const RunRecord& run) { return text_of(run.environment, key); });
  };
  Table table{.header = {"what", "value"}, .text_columns = 2};
  const std::vector<std::pair<std::string, const char*>> rows = {
      {"xception", "xception"}, {"commit", "git_commit"},   {"LibTorch", "libtorch"},
      {"CUDA", "cuda"},         {"cuDNN", "cudnn"},         {"compiler", "compiler"},
      {"host", "host"},         {"processor", "processor"}, {"threads", "threads"},
      {"device", "device"},     {"ranks", "world_size"}};
  for (const auto& [name, key] : rows) {
    const auto value = from_environment(key);
    if (value != "-") table.rows.push_back({name, value});
  }
  table.rows.push_back({"data", values_of(parts.set, [&](const RunRecord& run) {
                          auto text = parts.set.data_name;
                          const auto& data = run.summary.value("/data"_json_pointer,
                                                               nlohmann::ordered_json::object());
                          for (const auto* split : {"train", "validation", "test"}) {
                            const auto count = text_of(data, split);
                            if (!count.empty()) text += fmt::format(", {} {}", split, count);
                          }
                          return text;
                        })});
  table.rows.push_back({"data's SHA-256", values_of(parts.set, [](const RunRecord& run) {
                          return run.data_checksum();
                        })});
  parts.add(std::move(table));
}

}  // namespace

void add_runs(ReportParts& parts, const RunSet& set) {
  parts.add(Heading{.level = 3, .text = "Runs"});
  Table table{.header = {"run", set.by_run ? "called" : "model", "seed", "status", "epochs",
                         "test accuracy", "training", "time"},
              .text_columns = 2};
  std::size_t left_out = 0;
  for (std::size_t v = 0; v < set.variants.size(); ++v) {
    for (const auto place : set.variants[v].runs) {
      const auto& run = set.runs[place];
      if (table.rows.size() == kMostRunRows) {
        ++left_out;
        continue;
      }
      table.rows.push_back({run.folder.string(), set.variants[v].label,
                            fmt::format("{}", run.seed()), text_of(run.status()),
                            fmt::format("{}", run.history.size()),
                            run.answers ? percent(run.answers->accuracy()) : "-",
                            seconds_text(run.train_seconds()), text_of(run.environment, "time")});
    }
  }
  parts.add(std::move(table));
  if (left_out > 0) {
    parts.add(Paragraph{.text = fmt::format("And {} more; all are in report.json.", left_out)});
  }
}

void add_other_data(ReportParts& parts) {
  if (parts.set.other_data.empty()) return;
  parts.add(Heading{.text = "Runs on other data"});
  parts.add(Paragraph{.text = "Their accuracies answer other questions, so they stand beside "
                              "nothing above. A report of these runs alone has their charts."});
  for (const auto& other : parts.set.other_data) {
    parts.add(Heading{.level = 3,
                      .text = fmt::format("{} (SHA-256 {}...)",
                                          other.data_name.empty() ? "unnamed" : other.data_name,
                                          other.data_checksum.substr(0, 12))});
    parts.add(results_table(other, compare_variants(other), {}));
    add_runs(parts, other);
  }
}

void add_origin(ReportParts& parts) {
  if (!parts.set.notices.empty()) {
    parts.add(Heading{.text = "What is missing"});
    parts.add(List{.items = parts.set.notices});
  }
  parts.add(Heading{.text = "How it was made"});
  add_environment(parts);
  add_runs(parts, parts.set);
}

}  // namespace xception
