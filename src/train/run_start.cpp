#include "run_start.h"

#include <string>
#include <utility>

#include "merge_config.h"
#include "xception/core/error.h"
#include "xception/core/json.h"
#include "xception/core/paths.h"
#include "xception/train/checkpoint.h"
#include "xception/train/recipes.h"
#include "xception/train/run_status.h"

namespace xception {
namespace {

RunDirectory choose_directory(const TrainRequest& request, const RunConfig& config) {
  if (!request.out.empty()) return RunDirectory(request.out);
  return RunDirectory(default_run_directory(run_name(request, config), request.resume));
}

/// The epochs of a run that has nothing left to do; 0 for any other.
std::int64_t complete_epochs(const RunDirectory& directory, const RunConfig& config) {
  if (!std::filesystem::exists(directory.summary())) return 0;
  const auto summary = read_json(directory.summary(), "train");
  const auto epochs = summary.value("epochs", std::int64_t{0});
  if (summary.value("status", RunStatus::unknown) != RunStatus::complete) return 0;
  // As Trainer::stopped_early, by this command's patience.
  const auto best = summary.contains("best_epoch") && summary["best_epoch"].is_number_integer()
                        ? summary["best_epoch"].get<std::int64_t>()
                        : epochs;
  const auto patience = config.train.early_stop_patience;
  const bool stopped_early = patience > 0 && epochs - best >= patience;
  return epochs >= config.train.epochs || stopped_early ? epochs : 0;
}

/// A run that has epochs but no checkpoint was copied without them: to start from the beginning
/// would write over what is left.
void check_nothing_is_lost(const RunDirectory& directory) {
  if (!std::filesystem::exists(directory.summary())) return;
  const auto summary = read_json(directory.summary(), "train");
  const auto epochs = summary.value("epochs", std::int64_t{0});
  // One whose first checkpoint could not be saved has nothing to lose.
  const bool never_saved =
      epochs == 1 && summary.value("status", RunStatus::unknown) == RunStatus::failed;
  if (epochs == 0 || never_saved) return;
  throw input_error("train",
                    "--resume: {} holds a run of {} epochs but no checkpoint; restore its folder "
                    "checkpoints, or start a new run with another --out",
                    directory.root().string(), epochs);
}

RunStart look_into(const TrainRequest& request, const RunConfig& asked) {
  RunStart start;
  const auto directory = choose_directory(request, asked);
  start.directory = directory.root();
  start.saved = request.resume && has_checkpoint(directory, "last");
  if (request.resume && !start.saved) check_nothing_is_lost(directory);
  if (directory.holds_run() && !request.resume && !request.dry_run) {
    throw input_error("train",
                      "--out {}: already holds a run; add --resume to go on with it, or choose "
                      "another folder",
                      directory.root().string());
  }
  start.config = choose_config(directory, asked, start.saved);
  if (start.saved) start.complete = complete_epochs(directory, start.config);
  if (start.saved && start.complete == 0) say_new_schedule(directory, start.config);
  return start;
}

}  // namespace

std::string run_name(const TrainRequest& request, const RunConfig& config) {
  return request.config_file ? config_name(*request.config_file) : config.model.name;
}

RunStart decide_start(const TrainRequest& request, const RunConfig& asked, Communicator& ranks) {
  if (ranks.is_alone()) return look_into(request, asked);
  nlohmann::ordered_json json;
  if (ranks.is_root()) {
    const auto start = look_into(request, asked);
    json = {{"config", to_json(start.config)},
            {"given", start.config.given},
            {"directory", text_of_path(start.directory)},
            {"saved", start.saved},
            {"complete", start.complete}};
  }
  const auto shared = nlohmann::json::parse(ranks.broadcast_text(json.dump()));
  auto config = config_of_json(shared.at("config"), "config of rank 0");
  config.given = shared.at("given").get<std::set<std::string>>();
  // The same data may lie elsewhere on each machine; whether it is the same is checked.
  if (asked.given.contains("data.dir")) config.data.dir = asked.data.dir;
  return {.config = std::move(config),
          .directory = path_of_text(shared.at("directory").get<std::string>()),
          .saved = shared.at("saved"),
          .complete = shared.at("complete")};
}

}  // namespace xception
