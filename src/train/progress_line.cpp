#include "xception/train/progress_line.h"

#include <fmt/format.h>

#include "xception/core/format.h"
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

}  // namespace xception
