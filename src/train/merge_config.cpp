#include "merge_config.h"

#include <set>

#include "xception/core/error.h"
#include "xception/core/log.h"

namespace xception {
namespace {

/// Keys that a run may change when it goes on: they don't touch what was trained so far. Kernels
/// and the graph are how it was computed, and may have to change where they fail.
const std::set<std::string>& changeable_keys() {
  static const std::set<std::string> keys = {
      "train.stop_after_epoch", "parallel.timeout",   "parallel.heartbeat",
      "train.epochs",           "train.log_interval", "train.checkpoint_interval",
      "train.eval_batch_size",  "parallel.threads",   "data.dir",
      "train.kernels",          "train.cuda_graph",   "train.selftest_seconds",
  };
  return keys;
}

/// The config of a run that goes on: the saved one, with the changeable keys of this command line.
/// Errors (input): the command line asks for something else than what was trained so far.
RunConfig merge_saved(const RunDirectory& directory, const RunConfig& asked) {
  const auto before = to_json(directory.read_config());
  const auto now = to_json(asked);
  std::vector<std::string> changes;
  for (const auto& key : asked.given) {
    const auto& wanted = now.at(dotted_key(key));
    const auto& had = before.at(dotted_key(key));
    if (wanted == had) continue;
    if (!changeable_keys().contains(key)) {
      throw input_error("train",
                        "--resume: {} is {}, but the run in {} was trained with {}; leave it, or "
                        "start a new run with another --out",
                        key, wanted.dump(), directory.root().string(), had.dump());
    }
    changes.push_back(key + "=" + wanted.dump());
  }
  return load_config(directory.config(), changes);
}

}  // namespace

RunConfig choose_config(const RunDirectory& directory, const RunConfig& asked, bool saved) {
  return saved ? merge_saved(directory, asked) : asked;
}

void say_new_schedule(const RunDirectory& directory, const RunConfig& config) {
  const auto before = directory.read_config().train.epochs;
  const auto now = config.train.epochs;
  if (now == before || !depends_on_epochs(config.schedule)) return;
  spdlog::info(
      "resume: {} epochs, was {}: the {} is {} from here on, so the learning rate jumps; the "
      "result is neither run's",
      now, before, config.schedule.name, now > before ? "stretched" : "shortened");
}

}  // namespace xception
