#include "xception/train/progress_line.h"

#include <fmt/format.h>

#include <cmath>

#include "xception/core/log.h"

namespace xception {

void ProgressLine::on_progress(const Progress& progress) {
  const auto text = fmt::format(
      "epoch {}/{}  step {}/{}  loss {:.4f}  accuracy {:.2f} %  lr {:.2e}  {:.1f} images/s  "
      "{} left  {}",
      progress.epoch, progress.epochs, progress.step, progress.steps, progress.loss,
      100.0 * progress.accuracy, progress.learning_rate, progress.images_per_second,
      format_duration(progress.seconds_left), format_bytes(progress.memory_bytes));
  if (StatusLine::available()) {
    StatusLine::show(text);
  } else {
    spdlog::info(text);
  }
}

void ProgressLine::on_epoch(const EpochRecord& record) {
  StatusLine::clear();
  std::string validation = "no validation images";
  if (record.validation_accuracy) {
    validation = fmt::format("validation loss {:.4f} accuracy {:.2f} %", *record.validation_loss,
                             100.0 * *record.validation_accuracy);
  }
  spdlog::info("epoch {}: train loss {:.4f} accuracy {:.2f} %  {}  {:.1f} s  {:.1f} images/s",
               record.epoch, record.train_loss, 100.0 * record.train_accuracy, validation,
               record.train_seconds, record.images_per_second);
}

std::string format_duration(double seconds) {
  const auto total = std::isfinite(seconds) ? static_cast<std::int64_t>(seconds + 0.5) : 0;
  const auto hours = total / 3600;
  const auto minutes = total / 60 % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, total % 60)
                   : fmt::format("{}:{:02}", minutes, total % 60);
}

std::string format_bytes(std::int64_t bytes) {
  const auto value = static_cast<double>(bytes);
  return value >= 1e9 ? fmt::format("{:.1f} GB", value / 1e9)
                      : fmt::format("{:.0f} MB", value / 1e6);
}

}  // namespace xception
