#include "xception/report/run_record.h"

#include <ATen/ops/isfinite.h>
#include <ATen/ops/max.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "xception/core/error.h"
#include "xception/core/files.h"
#include "xception/core/first_line.h"
#include "xception/core/json.h"
#include "xception/core/safetensors.h"
#include "xception/train/predictions.h"
#include "xception/train/run_directory.h"

namespace xception {
namespace {

using Json = nlohmann::ordered_json;

Json read_object(const std::filesystem::path& file, std::vector<std::string>& problems) {
  if (!std::filesystem::exists(file)) {
    problems.push_back(file.filename().string() + " is missing");
    return Json::object();
  }
  try {
    auto json = Json(read_json(file, "report"));
    if (json.is_object()) return json;
    problems.push_back(file.filename().string() + " is not a JSON object");
  } catch (const std::exception& error) {
    problems.push_back(first_line(error.what()));
  }
  return Json::object();
}

std::optional<double> number(const Json& row, const char* key) {
  const auto found = row.find(key);
  if (found == row.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

/// Whether a row has a number that was not finite: JSON has null in its place.
bool has_gap(const Json& row) {
  return std::any_of(row.begin(), row.end(), [](const auto& value) { return value.is_null(); });
}

void read_history(const std::filesystem::path& file, RunRecord& run) {
  if (!std::filesystem::exists(file)) {
    run.problems.push_back(file.filename().string() + " is missing");
    return;
  }
  std::istringstream lines(read_file(file, "report"));
  std::vector<std::int64_t> damaged, gaps;
  std::int64_t count = 0;
  for (std::string line; std::getline(lines, line);) {
    ++count;
    const auto row = json_or_discarded<Json>(line);
    if (!row.is_object() || !number(row, "epoch")) {
      damaged.push_back(count);
      continue;
    }
    EpochPoint point{.epoch = static_cast<std::int64_t>(*number(row, "epoch")),
                     .train_loss = number(row, "train_loss"),
                     .train_accuracy = number(row, "train_acc"),
                     .validation_loss = number(row, "val_loss"),
                     .validation_accuracy = number(row, "val_acc"),
                     .train_seconds = number(row, "time_per_epochs").value_or(0.0)};
    point.memory_bytes = static_cast<std::int64_t>(number(row, "memory_bytes").value_or(0.0));
    if (has_gap(row) && point.validation_loss.has_value() != point.train_loss.has_value()) {
      gaps.push_back(point.epoch);
    }
    run.history.push_back(point);
  }
  const auto name = file.filename().string();
  if (!damaged.empty()) {
    run.problems.push_back(fmt::format("{}: line {} cannot be read", name, damaged.front()));
  }
  if (!gaps.empty()) {
    run.problems.push_back(fmt::format(
        "{}: a value of epoch {} is not a number; its curve has a gap there", name, gaps.front()));
  }
}

std::vector<std::int64_t> integers(const at::Tensor& tensor) {
  const auto values = tensor.to(at::kLong).contiguous();
  const auto* data = values.const_data_ptr<std::int64_t>();
  return {data, data + values.numel()};
}

TestAnswers answers_of(const TensorMap& tensors, const std::string& name) {
  for (const auto* key : {"index", "label", "probabilities"}) {
    if (!tensors.contains(key)) {
      throw input_error("report", "{}: no tensor {}; made by another program?", name, key);
    }
  }
  const auto& label = tensors.at("label");
  const auto& index = tensors.at("index");
  const auto probabilities = tensors.at("probabilities").to(at::kDouble);
  if (probabilities.dim() != 2 || probabilities.size(0) != label.numel() ||
      index.numel() != label.numel() || label.numel() == 0) {
    throw input_error("report",
                      "{}: {} labels, {} indices, {} rows of probabilities; expected "
                      "equally many, at least one",
                      name, label.numel(), index.numel(), probabilities.size(0));
  }
  const auto bad = probabilities.isfinite().all(1).logical_not().sum().item<std::int64_t>();
  if (bad > 0) {
    throw input_error("report", "{}: probabilities of {} images are not numbers", name, bad);
  }
  const auto [confidence, answer] = probabilities.max(1);
  TestAnswers result{.indices = integers(index),
                     .labels = integers(label),
                     .answers = integers(answer),
                     .classes = probabilities.size(1)};
  const auto outside = [&](std::int64_t value) { return value < 0 || value >= result.classes; };
  if (std::any_of(result.labels.begin(), result.labels.end(), outside)) {
    throw input_error("report", "{}: a label is outside 0 .. {}", name, result.classes - 1);
  }
  const auto values = confidence.contiguous();
  const auto* data = values.const_data_ptr<double>();
  result.confidences.assign(data, data + values.numel());
  return result;
}

void read_answers(const std::filesystem::path& file, RunRecord& run) {
  if (!std::filesystem::exists(file)) {
    // A run that isn't complete has none yet, and its status says so.
    if (run.is_complete()) run.problems.push_back(file.filename().string() + " is missing");
    return;
  }
  try {
    const auto name = file.filename().string();
    TextMap metadata;
    const auto tensors = load_safetensors(file, "", &metadata);
    if (const auto why = mismatch(metadata, "test", run.data_checksum())) {
      run.problems.push_back(fmt::format("{}: {}; left out", name, *why));
      return;
    }
    run.answers = answers_of(tensors, name);
  } catch (const std::exception& error) {
    run.problems.push_back(first_line(error.what()));
  }
}

template <class Value>
Value value_or(const Json& json, const char* pointer, const Value& otherwise) {
  const Json::json_pointer ordered(pointer);
  if (!json.contains(ordered)) return otherwise;
  const auto& value = json.at(ordered);
  try {
    return value.template get<Value>();
  } catch (const Json::exception&) {
    return otherwise;
  }
}

}  // namespace

std::int64_t TestAnswers::correct() const {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) sum += answers[i] == labels[i] ? 1 : 0;
  return sum;
}

double TestAnswers::accuracy() const {
  return static_cast<double>(correct()) / static_cast<double>(labels.size());
}

RunStatus RunRecord::status() const {
  return value_or(summary, "/status", RunStatus::unknown);
}

std::string RunRecord::model() const {
  return value_or(config, "/model/name", value_or<std::string>(summary, "/model", ""));
}

std::int64_t RunRecord::seed() const {
  return value_or(config, "/seed", value_or<std::int64_t>(summary, "/seed", 0));
}

std::string RunRecord::data_checksum() const {
  return value_or<std::string>(summary, "/data/checksum", "");
}

double RunRecord::train_seconds() const {
  double sum = 0.0;
  for (const auto& point : history) sum += point.train_seconds;
  return sum;
}

double RunRecord::images_per_second() const {
  return value_or(summary, "/images_per_second", 0.0);
}

std::int64_t RunRecord::memory_bytes() const {
  std::int64_t most = 0;
  for (const auto& point : history) most = std::max(most, point.memory_bytes);
  return most;
}

std::string RunRecord::data_name() const {
  return value_or(environment, "/data_label", value_or<std::string>(summary, "/data/name", ""));
}

RunRecord read_run(const RunFolder& folder, const std::string& checkpoint) {
  RunRecord run{.folder = folder.folder, .name = folder.name};
  const RunDirectory directory(folder.folder);
  run.config = read_object(directory.config(), run.problems);
  run.summary = read_object(directory.summary(), run.problems);
  run.environment = read_object(directory.environment(), run.problems);
  read_history(directory.history_jsonl(), run);
  read_answers(directory.predictions(checkpoint, "test"), run);
  return run;
}

}  // namespace xception
