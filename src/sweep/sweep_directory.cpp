#include "xception/sweep/sweep_directory.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>

#include "xception/core/error.h"
#include "xception/core/files.h"
#include "xception/core/folder_lock.h"
#include "xception/core/json.h"
#include "xception/train/history.h"
#include "xception/train/run_directory.h"

namespace xception {
namespace {

using nlohmann::json;

constexpr auto kStartUp = std::chrono::seconds(30);  // of a trial, until it locks its folder

std::vector<json> json_lines(const std::filesystem::path& file) {
  std::vector<json> lines;
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    auto value = json_or_discarded(line);
    if (value.is_object()) lines.push_back(std::move(value));
  }
  return lines;
}

std::optional<double> number(const json& object, const std::string& key) {
  const auto item = object.find(key);
  if (item == object.end() || !item->is_number()) return std::nullopt;
  return item->get<double>();
}

/// How long ago a file was written to.
std::filesystem::file_time_type::duration age_of(const std::filesystem::path& file) {
  std::error_code error;
  const auto written = std::filesystem::last_write_time(file, error);
  if (error) return std::filesystem::file_time_type::duration::max();
  return std::filesystem::file_time_type::clock::now() - written;
}

/// The column of history.jsonl for a metric that each epoch has; empty for the others.
std::string history_column(const std::string& metric) {
  if (metric == "validation_accuracy") return "val_acc";
  if (metric == "validation_loss") return "val_loss";
  if (metric == "train_accuracy") return "train_acc";
  if (metric == "train_loss") return "train_loss";
  return "";
}

}  // namespace

std::string state_name(TrialState state) {
  switch (state) {
    case TrialState::waiting:
      return "waiting";
    case TrialState::running:
      return "running";
    case TrialState::paused:
      return "stopped";
    case TrialState::complete:
      return "complete";
    case TrialState::failed:
      return "failed";
    case TrialState::interrupted:
      return "interrupted";
  }
  return "";
}

void SweepDirectory::create() const {
  for (const auto* folder : {"configs", "journal", "output", "trials"}) {
    std::error_code error;
    std::filesystem::create_directories(root_ / folder, error);
    if (error) {
      throw input_error("sweep", "--out {}: cannot be made: {}; choose another folder",
                        (root_ / folder).string(), error.message());
    }
  }
}

void SweepDirectory::write(const std::string& trial, const JournalEntry& entry) const {
  nlohmann::ordered_json line = {{"event", entry.start ? "start" : "end"}};
  if (entry.start) {
    line["device"] = entry.device;
    line["until"] = entry.until;
  } else {
    line["outcome"] = entry.outcome;
    line["epochs"] = entry.epochs;
    line["seconds"] = entry.seconds;
    if (!entry.reason.empty()) line["reason"] = entry.reason;
  }
  append_to_file(journal(trial),
                 line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

std::vector<JournalEntry> SweepDirectory::read_journal(const std::string& trial) const {
  std::vector<JournalEntry> entries;
  for (const auto& line : json_lines(journal(trial))) {
    entries.push_back({.start = line.value("event", "") == "start",
                       .device = line.value("device", ""),
                       .until = line.value("until", std::int64_t{0}),
                       .outcome = line.value("outcome", ""),
                       .reason = line.value("reason", ""),
                       .seconds = line.value("seconds", 0.0),
                       .epochs = line.value("epochs", std::int64_t{0})});
  }
  return entries;
}

TrialResult SweepDirectory::read_result(const std::string& trial, const Metric& metric) const {
  const RunDirectory run(this->run(trial));
  TrialResult result;
  json summary = json::object();
  if (std::filesystem::exists(run.summary())) summary = read_json(run.summary(), "sweep");
  result.status = summary.value("status", RunStatus::unknown);
  result.epochs = summary.value("epochs", std::int64_t{0});
  result.parameters = summary.value("parameters", std::int64_t{0});
  result.train_seconds = number(summary, "train_seconds").value_or(0.0);
  result.images_per_second = number(summary, "images_per_second").value_or(0.0);
  result.test_accuracy = number(summary, "test_accuracy");

  const auto column = history_column(metric.name);
  if (column.empty()) {
    result.metric = number(summary, metric.name);
    if (const auto best = number(summary, "best_epoch")) {
      result.best_epoch = static_cast<std::int64_t>(*best);
    }
  }
  for (const auto& row : json_lines(run.history_jsonl())) {
    const auto epoch = row.value("epoch", std::int64_t{0});
    result.epochs = std::max(result.epochs, epoch);
    const auto value = number(row, column);
    if (column.empty()) continue;
    result.by_epoch.push_back(value);
    if (!value || !std::isfinite(*value)) continue;
    const bool better =
        !result.metric || (metric.maximize ? *value > *result.metric : *value < *result.metric);
    if (!better) continue;
    result.metric = value;
    result.best_epoch = epoch;
  }
  return result;
}

SweepDescription describe_sweep(const SweepConfig& sweep, const TrialPlan& plan) {
  SweepDescription description;
  description.name = sweep.name;
  description.text = sweep.description;
  description.metric = sweep.metric;
  description.retries = sweep.retries;
  description.halving = sweep.halving.has_value();
  for (const auto& variant : plan.variants) description.variants.push_back(variant.label);
  for (const auto& trial : plan.trials) {
    description.epochs = std::max(description.epochs, trial.config.train.epochs);
    description.trials.push_back({.name = trial.name,
                                  .variant = trial.variant,
                                  .seed = trial.seed,
                                  .epochs = trial.config.train.epochs,
                                  .hash = trial.hash});
  }
  return description;
}

nlohmann::ordered_json to_json(const SweepDescription& description) {
  nlohmann::ordered_json json = {
      {"name", description.name},          {"description", description.text},
      {"metric", description.metric.name}, {"maximize", description.metric.maximize},
      {"retries", description.retries},    {"epochs", description.epochs},
      {"halving", description.halving},    {"variants", description.variants}};
  json["trials"] = nlohmann::ordered_json::array();
  for (const auto& trial : description.trials) {
    json["trials"].push_back({{"name", trial.name},
                              {"variant", trial.variant},
                              {"seed", trial.seed},
                              {"epochs", trial.epochs},
                              {"hash", trial.hash}});
  }
  return json;
}

SweepDescription read_description(const SweepDirectory& directory) {
  if (!directory.holds_sweep()) {
    throw input_error("sweep",
                      "{}: holds no sweep (no sweep.json); expected a folder that `xception "
                      "sweep` made",
                      directory.root().string());
  }
  const auto json = read_json(directory.description(), "sweep");
  SweepDescription description;
  try {
    description.name = json.at("name");
    description.text = json.at("description");
    description.metric = {.name = json.at("metric"), .maximize = json.at("maximize")};
    description.retries = json.at("retries");
    description.epochs = json.at("epochs");
    description.halving = json.at("halving");
    description.variants = json.at("variants").get<std::vector<std::string>>();
    for (const auto& trial : json.at("trials")) {
      description.trials.push_back({.name = trial.at("name"),
                                    .variant = trial.at("variant"),
                                    .seed = trial.at("seed"),
                                    .epochs = trial.at("epochs"),
                                    .hash = trial.at("hash")});
    }
  } catch (const json::exception& error) {
    throw input_error("sweep", "{}: damaged or altered: {}", directory.description().string(),
                      error.what());
  }
  return description;
}

TrialStatus read_status(const SweepDirectory& directory, const SweepDescription& description,
                        const SweepDescription::Entry& trial) {
  TrialStatus status;
  bool started = false;
  std::int64_t epochs = -1;  // at the last failure
  for (const auto& entry : directory.read_journal(trial.name)) {
    started = entry.start;
    if (entry.start) {
      status.device = entry.device;
      status.unfinished = entry.until;
    }
    if (entry.outcome == "complete" || entry.outcome == "paused") status.unfinished = 0;
    if (entry.outcome == "resumed") {  // a trial that had failed for good gets its retries again
      status.failures = 0;
      epochs = -1;
    }
    if (entry.outcome != "failed") continue;
    if (entry.epochs > epochs) status.failures = 0;
    ++status.failures;
    epochs = entry.epochs;
    status.reason = entry.reason;
  }
  status.result = directory.read_result(trial.name, description.metric);
  const auto& found = status.result.status;
  if (found == RunStatus::complete) {
    status.state = TrialState::complete;
  } else if (started) {
    const bool alive =
        FolderLock::is_held(directory.run(trial.name)) ||
        (FolderLock::is_held(directory.root()) && age_of(directory.journal(trial.name)) < kStartUp);
    status.state = alive ? TrialState::running : TrialState::interrupted;
  } else if (status.failures > description.retries) {
    status.state = TrialState::failed;
  } else if (found == RunStatus::paused) {
    status.state = TrialState::paused;
  } else if (found != RunStatus::unknown) {
    status.state = TrialState::interrupted;
  }
  return status;
}

}  // namespace xception
