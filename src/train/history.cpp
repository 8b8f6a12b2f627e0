#include "xception/train/history.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <sstream>
#include <string>
#include <system_error>

#include "xception/core/error.h"
#include "xception/core/files.h"
#include "xception/core/json.h"

namespace xception {
namespace {

std::uintmax_t length(const std::filesystem::path& file) {
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  return error ? 0 : size;
}

nlohmann::ordered_json optional_number(const std::optional<double>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
}

nlohmann::ordered_json to_row(const EpochRecord& record) {
  return {{"epoch", record.epoch},
          {"step", record.global_step},
          {"train_loss", record.train_loss},
          {"train_acc", record.train_accuracy},
          {"val_loss", optional_number(record.validation_loss)},
          {"val_acc", optional_number(record.validation_accuracy)},
          {"time_per_epochs", record.train_seconds},
          {"val_seconds", record.validation_seconds},
          {"learning_rate", record.learning_rate},
          {"images_per_second", record.images_per_second},
          {"memory_bytes", record.memory_bytes}};
}

std::string csv_header(const nlohmann::ordered_json& row) {
  std::string header;
  for (const auto& [key, value] : row.items()) header += (header.empty() ? "" : ",") + key;
  return header + "\n";
}

std::string csv_line(const nlohmann::ordered_json& row) {
  std::string line;
  std::string separator;
  for (const auto& [key, value] : row.items()) {
    // JSON has no NaN; a table does, and an empty cell means that there was nothing to measure.
    const bool not_finite = value.is_number_float() && !std::isfinite(value.get<double>());
    line += separator + (not_finite ? "nan" : value.is_null() ? "" : value.dump());
    separator = ",";
  }
  return line + "\n";
}

/// The rows of checkpoints that hold but the file's length.
std::vector<nlohmann::ordered_json> rows_of_file(const std::filesystem::path& file,
                                                 std::uintmax_t bytes) {
  if (length(file) < bytes) {
    throw input_error("train",
                      "{}: {} bytes, expected at least {}: it was altered since the checkpoint; "
                      "restore it or start a new run",
                      file.string(), length(file), bytes);
  }
  std::vector<nlohmann::ordered_json> rows;
  if (bytes == 0) return rows;
  std::istringstream lines(read_file(file, "train").substr(0, bytes));
  for (std::string line; std::getline(lines, line);) {
    rows.push_back(json_or_discarded<nlohmann::ordered_json>(line));
    if (rows.back().is_object()) continue;
    throw input_error("train",
                      "{}: line {} is no row of a history; restore the file or start a new run",
                      file.string(), rows.size());
  }
  return rows;
}

}  // namespace

HistoryWriter::HistoryWriter(const RunDirectory& directory)
    : jsonl_(directory.history_jsonl()), csv_(directory.history_csv()) {}

void HistoryWriter::on_epoch(const EpochRecord& record) {
  rows_.push_back(to_row(record));
  append_to_file(jsonl_, rows_.back().dump() + "\n");
  append_to_file(csv_,
                 (length(csv_) == 0 ? csv_header(rows_.back()) : "") + csv_line(rows_.back()));
}

State HistoryWriter::state() const {
  State state;
  state.values = {{"rows", rows_}};
  return state;
}

void HistoryWriter::load_state(const State& state) {
  rows_.clear();
  if (state.values.contains("rows")) {
    // Their order of keys is that of to_row().
    const auto keys = to_row({});
    for (const auto& row : state.values.at("rows")) {
      auto& ordered = rows_.emplace_back();
      const bool validated = row.contains("val_acc") && !row.at("val_acc").is_null();
      for (const auto& [key, value] : keys.items()) {
        ordered[key] = row.value(key, nlohmann::json());
        // JSON's only way to say that a number is none.
        if (validated && ordered[key].is_null()) ordered[key] = std::nan("");
      }
    }
  } else {
    rows_ = rows_of_file(jsonl_, state.values.at("jsonl").get<std::uintmax_t>());
  }
  write();
}

void HistoryWriter::clear() {
  rows_.clear();
  write();
}

void HistoryWriter::write() const {
  std::string lines;
  std::string table = rows_.empty() ? "" : csv_header(rows_.front());
  for (const auto& row : rows_) {
    lines += row.dump() + "\n";
    table += csv_line(row);
  }
  write_file_atomic(jsonl_, lines);
  write_file_atomic(csv_, table);
}

void append_to_file(const std::filesystem::path& file, std::string_view text) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  int error = descriptor < 0 ? errno : 0;
  while (error == 0 && !text.empty()) {
    const auto written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno != EINTR) error = errno;
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (error == 0 && ::fsync(descriptor) != 0) error = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (error != 0) {
    throw run_error("train", "{}: cannot be written: {}", file.string(),
                    std::generic_category().message(error));
  }
}

}  // namespace xception
