#include "xception/train/history.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <system_error>

#include "xception/core/error.h"

namespace xception {
namespace {

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

std::uintmax_t length(const std::filesystem::path& file) {
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  return error ? 0 : size;
}

}  // namespace

HistoryWriter::HistoryWriter(const RunDirectory& directory)
    : jsonl_(directory.history_jsonl()), csv_(directory.history_csv()) {}

void HistoryWriter::on_epoch(const EpochRecord& record) {
  const auto row = to_row(record);
  std::string header;
  std::string line;
  for (const auto& [key, value] : row.items()) {
    const std::string separator = line.empty() ? "" : ",";
    header += (header.empty() ? "" : ",") + key;
    // JSON has no NaN; a table does, and an empty cell means that there was nothing to measure.
    const bool not_finite = value.is_number_float() && !std::isfinite(value.get<double>());
    line += separator + (not_finite ? "nan" : value.is_null() ? "" : value.dump());
  }
  append_to_file(jsonl_, row.dump() + "\n");
  append_to_file(csv_, (length(csv_) == 0 ? header + "\n" : "") + line + "\n");
}

State HistoryWriter::state() const {
  State state;
  state.values = {{"jsonl", length(jsonl_)}, {"csv", length(csv_)}};
  return state;
}

void HistoryWriter::load_state(const State& state) {
  truncate_file(jsonl_, state.values.at("jsonl").get<std::uintmax_t>());
  truncate_file(csv_, state.values.at("csv").get<std::uintmax_t>());
}

void HistoryWriter::clear() {
  truncate_file(jsonl_, 0);
  truncate_file(csv_, 0);
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

void truncate_file(const std::filesystem::path& file, std::uintmax_t bytes) {
  const auto found = length(file);
  if (found < bytes) {
    throw input_error("train",
                      "{}: {} bytes, expected at least {}: it was altered since the checkpoint; "
                      "restore it or start a new run",
                      file.string(), found, bytes);
  }
  if (found > bytes) std::filesystem::resize_file(file, bytes);
}

}  // namespace xception
