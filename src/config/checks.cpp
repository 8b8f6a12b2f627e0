#include "xception/config/checks.h"

#include <algorithm>

#include "xception/config/dotted_key.h"
#include "xception/core/error.h"

namespace xception {

void check_together(const RunConfig& config) {
  const auto& optimizer = config.optimizer;
  const auto& schedule = config.schedule;
  const auto& train = config.train;
  if (schedule.min_lr > optimizer.lr) {
    throw input_error("config",
                      "schedule.min_lr: found {}, but optimizer.lr is {}; expected at most that",
                      schedule.min_lr, optimizer.lr);
  }
  if (schedule.warmup_epochs > static_cast<double>(train.epochs)) {
    throw input_error(
        "config",
        "schedule.warmup_epochs: found {}, but train.epochs is {}, so that optimizer.lr would "
        "never be reached; expected at most that",
        schedule.warmup_epochs, train.epochs);
  }
  if (train.stop_after_epoch > train.epochs) {
    throw input_error("config",
                      "train.stop_after_epoch: found {}, but train.epochs is {}; expected at most "
                      "that, or 0 to train all",
                      train.stop_after_epoch, train.epochs);
  }
  if (train.accumulate > train.batch_size) {
    throw input_error("config",
                      "train.accumulate: found {}, but train.batch_size is {}, so that parts would "
                      "be empty; expected at most that",
                      train.accumulate, train.batch_size);
  }
  if (optimizer.name == "adamw" && optimizer.lr * optimizer.weight_decay >= 1.0) {
    throw input_error("config",
                      "optimizer.weight_decay: found {} with optimizer.lr {}: a step of adamw "
                      "scales weights by 1 - lr * weight_decay, which must stay above 0; lower it",
                      optimizer.weight_decay, optimizer.lr);
  }
  const auto& parallel = config.parallel;
  if (parallel.heartbeat > 0 && parallel.heartbeat < 1) {
    throw input_error("config",
                      "parallel.heartbeat: found {} s, in which no rank can be sure to be heard; "
                      "expected at least 1, or 0 for never",
                      parallel.heartbeat);
  }
}

std::vector<std::string> unread_keys(const RunConfig& config) {
  struct Reader {
    const char* key;
    const char* chosen_by;
    std::vector<std::string> readers;
  };
  static const std::vector<Reader> table = {
      {"optimizer.beta1", "optimizer.name", {"adam", "adamw"}},
      {"optimizer.beta2", "optimizer.name", {"adam", "adamw"}},
      {"optimizer.eps", "optimizer.name", {"adam", "adamw"}},
      {"optimizer.momentum", "optimizer.name", {"sgd"}},
      {"schedule.min_lr", "schedule.name", {"cosine"}},
      {"schedule.step_epochs", "schedule.name", {"step"}},
      {"schedule.gamma", "schedule.name", {"step"}},
  };
  const auto values = to_json(config);
  const auto defaults = to_json(RunConfig{});
  std::vector<std::string> sentences;
  for (const auto& [key, chosen_by, readers] : table) {
    const std::string chosen = values.at(dotted_key(chosen_by));
    const auto& value = values.at(dotted_key(key));
    if (!config.given.contains(key) || value == defaults.at(dotted_key(key))) continue;
    if (std::find(readers.begin(), readers.end(), chosen) != readers.end()) continue;
    sentences.push_back(
        fmt::format("{} is {}, but {} {} doesn't read it", key, value.dump(), chosen_by, chosen));
  }
  return sentences;
}

}  // namespace xception
