#include "xception/train/start.h"

#include <ATen/Parallel.h>

#include <set>
#include <utility>

#include "xception/core/error.h"
#include "xception/core/json.h"
#include "xception/core/log.h"
#include "xception/core/signals.h"
#include "xception/models/complexity.h"
#include "xception/models/registry.h"
#include "xception/parallel/device.h"
#include "xception/train/environment.h"
#include "xception/train/history.h"
#include "xception/train/progress_line.h"
#include "xception/train/tensorboard.h"
#include "xception/train/trainer.h"

namespace xception {
namespace {

/// Keys that a run may change when it goes on: they don't touch what was trained so far.
const std::set<std::string>& changeable_keys() {
  static const std::set<std::string> keys = {
      "train.epochs",          "train.log_interval", "train.checkpoint_interval",
      "train.eval_batch_size", "parallel.threads",   "data.dir",
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
    const auto dot = key.find('.');
    const auto at = [&](auto& json) -> auto& {
      return dot == std::string::npos ? json[key] : json[key.substr(0, dot)][key.substr(dot + 1)];
    };
    auto wanted = now;
    auto had = before;
    if (at(wanted) == at(had)) continue;
    if (!changeable_keys().contains(key)) {
      throw input_error("train",
                        "--resume: {} is {}, but the run in {} was trained with {}; leave it, or "
                        "start a new run with another --out",
                        key, at(wanted).dump(), directory.root().string(), at(had).dump());
    }
    changes.push_back(key + "=" + at(wanted).dump());
  }
  return load_config(directory.config(), changes);
}

RunDirectory choose_directory(const TrainRequest& request, const RunConfig& config) {
  if (!request.out.empty()) return RunDirectory(request.out);
  const auto name = request.config_file ? request.config_file->stem().string() : config.model.name;
  return RunDirectory(default_run_directory(name, request.resume));
}

bool is_complete(const RunDirectory& directory, const RunConfig& config) {
  if (!std::filesystem::exists(directory.summary())) return false;
  const auto summary = read_json(directory.summary(), "train");
  return summary.value("status", "") == "complete" &&
         summary.value("epochs", std::int64_t{0}) >= config.train.epochs;
}

void check_disk_space(const RunDirectory& directory, std::int64_t parameters) {
  std::error_code error;
  const auto space = std::filesystem::space(directory.root(), error);
  // Weights and two moments in float32; `last`, `best` and the one being written.
  const auto one = static_cast<std::uintmax_t>(parameters) * 4 * 3;
  if (!error && space.available < 3 * one) {
    spdlog::warn("warning: {} free at {}, three checkpoints need {}",
                 format_bytes(static_cast<std::int64_t>(space.available)),
                 directory.root().string(), format_bytes(static_cast<std::int64_t>(3 * one)));
  }
}

/// The start-up table: everything resolved, in one look.
void show_start(const Experiment& experiment, const RunDirectory& directory, Trainer& trainer) {
  const auto& config = experiment.config();
  const auto& dataset = experiment.dataset();
  const auto& splits = experiment.splits();
  const auto row = [](const std::string& name, const std::string& text) {
    spdlog::info("  {:<10} {}", name, text);
  };
  const auto cost = count_complexity(trainer.model(), config.data.image_size);
  const auto info = describe_device(experiment.device());
  row("run", directory.root().string());
  row("model", fmt::format("{} ({}), {} classes, {:.2f} M parameters, {:.3f} G multiply-adds at {} "
                           "px",
                           config.model.name, config.model.variant, config.model.num_classes,
                           static_cast<double>(cost.parameters) * 1e-6,
                           static_cast<double>(cost.multiply_adds) * 1e-9, config.data.image_size));
  if (find_model(config.model.name).aux_min_image_size > 0 && config.model.aux_logits) {
    row("", *config.model.aux_weight > 0
                ? fmt::format("auxiliary head: weight {}", *config.model.aux_weight)
                : "auxiliary head: not run (weight 0, or below 299 px), gets no gradient");
  }
  row("data", fmt::format("{}: {} train, {} validation, {} test  ({}, {})", dataset.name,
                          splits.train.size(), splits.validation.size(), splits.test.size(),
                          dataset.folder.string(), dataset.checksum.substr(0, 12)));
  row("optimiser",
      fmt::format(
          "{}, lr {}, {} schedule, batch {}{}, {} epochs x {} steps", config.optimizer.name,
          config.optimizer.lr, config.schedule.name, config.train.batch_size,
          config.train.accumulate > 1 ? fmt::format(" in {} parts", config.train.accumulate) : "",
          config.train.epochs, trainer.steps_per_epoch()));
  row("precision", fmt::format("{}{}{}", config.train.precision,
                               config.train.channels_last ? ", channels_last" : "",
                               config.train.deterministic ? ", deterministic" : ""));
  row("device", fmt::format("{}: {}, {} memory", info.device.str(), info.name,
                            format_bytes(info.memory_bytes)));
  row("libraries", library_line());
  row("seed", std::to_string(config.seed));
  if (!trainer.dropped_notice().empty()) {
    row("notice", "each epoch drops " + trainer.dropped_notice());
  }
}

void write_environment(const RunDirectory& directory, const TrainRequest& request,
                       const Experiment& experiment) {
  auto environment = describe_environment();
  environment["device"] = experiment.device().str();
  environment["command_line"] = request.command_line;
  write_json(directory.environment(), environment);
}

/// Takes up where the last checkpoint is, or says that there is none.
void resume_run(Trainer& trainer, const RunDirectory& directory, const Experiment& experiment) {
  if (!has_checkpoint(directory, "last")) {
    spdlog::info("resume: no checkpoint was saved in {} yet; starting from the beginning",
                 directory.root().string());
    return;
  }
  const auto place = trainer.resume();
  spdlog::info("resume: from epoch {} of {}, step {} of {}",
               std::min(place.epoch + 1, experiment.config().train.epochs),
               experiment.config().train.epochs, place.step_in_epoch, trainer.steps_per_epoch());
}

void check_same_data(const RunDirectory& directory, const Experiment& experiment) {
  if (!std::filesystem::exists(directory.summary())) return;
  const auto summary = read_json(directory.summary(), "train");
  const auto trained = summary.value("/data/checksum"_json_pointer, std::string());
  if (trained.empty() || trained == experiment.dataset().checksum) return;
  throw input_error("train",
                    "--resume: {} is not the data that the run in {} was trained on (checksum "
                    "{}..., expected {}...); give --data",
                    experiment.dataset().folder.string(), directory.root().string(),
                    experiment.dataset().checksum.substr(0, 12), trained.substr(0, 12));
}

}  // namespace

int start_training(const TrainRequest& request) {
  ignore_write_signals();
  auto overrides = request.overrides;
  if (!request.data.empty()) overrides.push_back("data.dir=" + nlohmann::json(request.data).dump());
  if (request.deterministic) overrides.emplace_back("train.deterministic=true");
  RunConfig config = load_config(request.config_file, overrides);
  const auto device = parse_device(request.device);
  const auto directory = choose_directory(request, config);
  const bool goes_on = directory.holds_run();
  if (goes_on && !request.resume && !request.dry_run) {
    throw input_error("train",
                      "--out {}: already holds a run; add --resume to go on with it, or choose "
                      "another folder",
                      directory.root().string());
  }
  if (goes_on && request.resume) {
    config = merge_saved(directory, config);
    if (is_complete(directory, config)) {
      spdlog::info("{}: the run is complete ({} epochs)", directory.root().string(),
                   config.train.epochs);
      return 0;
    }
  }
  resolve_model(config);
  apply_runtime_settings(config);
  const Experiment experiment(config, device);
  const auto make_trainer = [&] { return Trainer(experiment, directory); };
  if (request.dry_run) {
    auto trainer = make_trainer();
    show_start(experiment, directory, trainer);
    spdlog::info("dry run: nothing was trained, nothing was written");
    return 0;
  }
  directory.create();
  const RunLock lock(directory);
  add_log_file(directory.log());
  auto trainer = make_trainer();
  if (goes_on) check_same_data(directory, experiment);
  write_json(directory.config(), to_json(config));
  write_environment(directory, request, experiment);
  show_start(experiment, directory, trainer);

  const auto history = std::make_shared<HistoryWriter>(directory);
  const auto tensorboard = std::make_shared<TensorBoardWriter>(directory.root());
  trainer.add_observer(std::make_shared<ProgressLine>());
  trainer.add_observer(history);
  trainer.add_observer(tensorboard);
  if (!has_checkpoint(directory, "last")) {
    history->clear();
    tensorboard->clear();
  }
  check_disk_space(directory, count_complexity(trainer.model(), config.data.image_size).parameters);
  if (request.resume) resume_run(trainer, directory, experiment);

  const StopSignals signals;
  const int stopped = trainer.run();
  if (stopped != 0) {
    spdlog::info("stopped by signal {}; saved. To go on: the same command with --out {} --resume",
                 stopped, directory.root().string());
    return 128 + stopped;
  }
  spdlog::info("done: {}", directory.root().string());
  return 0;
}

}  // namespace xception
