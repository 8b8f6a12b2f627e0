#include "initial_weights.h"

#include "xception/core/log.h"
#include "xception/core/paths.h"
#include "xception/train/checkpoint.h"
#include "xception/weights/fit.h"

namespace xception {

void load_initial_weights(Training& training, const std::string& file) {
  if (training.ranks->is_root()) {
    const auto weights = read_file_or_run(path_of_text(file));
    const auto report = fit_weights(*training.model, weights, {.replace_head = true});
    for (const auto& note : weights.notes) spdlog::info("  {:<10} {}", "", note);
    spdlog::info("  {:<10} {}: {}", "init", weights.file.string(), report.summary());
  }
  if (!training.ranks->is_alone()) training.share_model();
  if (training.average) training.average->restart();
}

}  // namespace xception
