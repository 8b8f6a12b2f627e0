#include "xception/report/baseline.h"

#include "notebook_baseline.h"
#include "xception/core/error.h"
#include "xception/core/json.h"

namespace xception {
namespace {

std::optional<double> optional_number(const nlohmann::json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return std::nullopt;
  return found->get<double>();
}

std::vector<EpochPoint> history_of(const nlohmann::json& json) {
  std::vector<EpochPoint> points;
  const auto epochs = json.at("train_loss").size();
  for (std::size_t i = 0; i < epochs; ++i) {
    points.push_back({.epoch = static_cast<std::int64_t>(i) + 1,
                      .train_loss = json.at("train_loss").at(i).get<double>(),
                      .train_accuracy = json.at("train_acc").at(i).get<double>(),
                      .validation_loss = json.at("val_loss").at(i).get<double>(),
                      .validation_accuracy = json.at("val_acc").at(i).get<double>(),
                      .train_seconds = json.at("time_per_epochs").at(i).get<double>()});
  }
  return points;
}

Baseline baseline_of(const nlohmann::json& json, const std::string& where) {
  try {
    Baseline baseline{.name = json.at("name"), .description = json.at("description")};
    for (const auto& entry : json.at("models")) {
      baseline.entries.push_back({.label = entry.at("label"),
                                  .parameters = entry.at("parameters"),
                                  .test_accuracy = optional_number(entry, "test_accuracy"),
                                  .train_seconds = optional_number(entry, "train_seconds"),
                                  .in_table = entry.value("in_table", true),
                                  .history = history_of(entry.at("history"))});
    }
    return baseline;
  } catch (const nlohmann::json::exception& error) {
    throw input_error("report", "{}: {}; expected the form of configs/baselines/notebook.json",
                      where, error.what());
  }
}

}  // namespace

Baseline load_baseline(const std::string& name_or_file) {
  if (name_or_file == "none") return {};
  if (name_or_file == "notebook") {
    return baseline_of(nlohmann::json::parse(kNotebookBaseline), "configs/baselines/notebook.json");
  }
  if (!std::filesystem::exists(name_or_file)) {
    throw input_error("report",
                      "--baseline {}: neither notebook nor none, and there is no such file",
                      name_or_file);
  }
  return baseline_of(read_json(name_or_file, "report"), name_or_file);
}

}  // namespace xception
