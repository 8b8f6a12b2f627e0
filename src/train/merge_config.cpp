#include "merge_config.h"

#include <set>

#include "xception/core/error.h"
#include "xception/core/log.h"

namespace xception {
namespace {

/// Keys that a run may change when it goes on: they don't touch what was trained so far. Kernels
/// and the graph are how it was computed, and may have to change where they fail.
std::set<std::string> changeable_keys() {
  std::set<std::string> keys;
  for (const auto& key : config_schema()) {
    if (key.use.may_change) keys.insert(key.key);
  }
  return keys;
}

/// The config of a run that goes on: the saved one, with the changeable keys of this command line.
/// Errors (input): the command line asks for something else than what was trained so far.
RunConfig merge_saved(const RunDirectory& directory, const RunConfig& asked) {
  const auto before = to_json(directory.read_config());
  const auto now = to_json(asked);
  const auto changeable = changeable_keys();
  std::vector<std::string> changes;
  for (const auto& key : asked.given) {
    const auto& wanted = now.at(dotted_key(key));
    const auto& had = before.at(dotted_key(key));
    // What was recognized once stays so.
    if (wanted == had || (key == "data.format" && wanted == "auto")) continue;
    if (!changeable.contains(key)) {
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
