#include "xception/train/start.h"

#include <fmt/ranges.h>

#include <set>
#include <utility>

#include "xception/core/error.h"
#include "xception/core/json.h"
#include "xception/core/log.h"
#include "xception/core/memory.h"
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

std::string transform_names(const nlohmann::json& list) {
  std::vector<std::string> names;
  for (const auto& transform : list) {
    std::string name = transform.at("name");
    for (const auto& [key, value] : transform.items()) {
      if (key != "name") name += fmt::format(" {}={}", key, value.dump());
    }
    names.push_back(std::move(name));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string aux_row(const ModelConfig& model, const ModelEntry& entry, std::int64_t image_size) {
  if (*model.aux_weight > 0)
    return fmt::format("auxiliary head: loss weight {}", *model.aux_weight);
  return fmt::format("auxiliary head: built, not run, no gradient ({})",
                     image_size < entry.aux_min_image_size
                         ? fmt::format("below {} px", entry.aux_min_image_size)
                         : "model.aux_weight is 0");
}

/// The start-up table: everything resolved, in one look.
void show_start(const TrainRequest& request, const Experiment& experiment,
                const RunDirectory& directory, Trainer& trainer) {
  const auto& config = experiment.config();
  const auto& train = config.train;
  const auto& dataset = experiment.dataset();
  const auto& splits = experiment.splits();
  const auto& entry = find_model(config.model.name);
  const auto row = [](const std::string& name, const std::string& text) {
    spdlog::info("  {:<10} {}", name, text);
  };
  const auto cost = count_complexity(trainer.model(), config.data.image_size);
  const auto info = describe_device(experiment.device());
  row("run", directory.root().string());
  row("config",
      fmt::format(
          "{}{}", request.config_file ? request.config_file->string() : "defaults",
          request.overrides.empty() ? "" : fmt::format(", {}", fmt::join(request.overrides, " "))));
  row("model", fmt::format("{} ({}), {} classes, {:.2f} M parameters, {:.3f} G multiply-adds at {} "
                           "px",
                           config.model.name, config.model.variant, config.model.num_classes,
                           static_cast<double>(cost.parameters) * 1e-6,
                           static_cast<double>(cost.multiply_adds) * 1e-9, config.data.image_size));
  if (entry.aux_min_image_size > 0 && config.model.aux_logits) {
    row("", aux_row(config.model, entry, config.data.image_size));
  }
  row("data", fmt::format("{}: {} train, {} validation, {} test  ({}, {})", dataset.name,
                          splits.train.size(), splits.validation.size(), splits.test.size(),
                          dataset.folder.string(), dataset.checksum.substr(0, 12)));
  row("augment", transform_names(config.augment.train));
  row("optimiser",
      fmt::format("{}, lr {}, weight decay {}, {} schedule, batch {}{}{}, {} epochs x {} steps",
                  config.optimizer.name, config.optimizer.lr, config.optimizer.weight_decay,
                  config.schedule.name, train.batch_size,
                  train.accumulate > 1 ? fmt::format(" in {} parts", train.accumulate) : "",
                  config.optimizer.clip_norm > 0
                      ? fmt::format(", clipped to {}", config.optimizer.clip_norm)
                      : "",
                  train.epochs, trainer.steps_per_epoch()));
  row("precision", fmt::format("{}, evaluation {}{}{}", train.precision,
                               train.precision == "fp64" ? "fp64" : train.eval_precision,
                               train.channels_last ? ", channels_last" : "",
                               train.deterministic ? ", deterministic" : ""));
  row("device", fmt::format("{}: {}, {} memory", info.device.str(), info.name,
                            format_bytes(info.memory_bytes)));
  row("libraries", library_line());
  row("seed", std::to_string(config.seed));
  if (!trainer.dropped_notice().empty()) {
    row("notice", "each epoch drops " + trainer.dropped_notice());
  }
}

/// Writes environment.json; a run that goes on keeps the first one and appends to its `resumed`.
void write_environment(const RunDirectory& directory, const TrainRequest& request,
                       const Experiment& experiment, bool goes_on) {
  auto environment = describe_environment();
  environment["device"] = experiment.device().str();
  environment["command_line"] = request.command_line;
  if (!goes_on || !std::filesystem::exists(directory.environment())) {
    write_json(directory.environment(), environment);
    return;
  }
  auto first = nlohmann::ordered_json(read_json(directory.environment(), "train"));
  const auto before = first.contains("resumed") ? first["resumed"].back() : first;
  for (const auto* key : {"threads", "libtorch", "device", "processor"}) {
    if (!before.contains(key) || before[key] == environment[key]) continue;
    spdlog::info("resume: {} is {}, was {}: the result may differ in the last bits", key,
                 environment[key].dump(), before[key].dump());
  }
  first["resumed"].push_back(environment);
  write_json(directory.environment(), first);
}

/// Takes up where the last checkpoint is, or says that there is none.
void resume_run(Trainer& trainer, const RunDirectory& directory, const RunConfig& config) {
  if (!has_checkpoint(directory, "last")) {
    spdlog::info("resume: no checkpoint was saved in {} yet; starting from the beginning",
                 directory.root().string());
    return;
  }
  const auto place = trainer.resume();
  if (place.epoch >= config.train.epochs && place.step_in_epoch > 0) {
    throw input_error("train",
                      "train.epochs: found {}, but the run in {} is inside epoch {}; "
                      "expected at least that",
                      config.train.epochs, directory.root().string(), place.epoch + 1);
  }
  spdlog::info("resume: from epoch {} of {}, step {} of {}",
               std::min(place.epoch + 1, config.train.epochs), config.train.epochs,
               place.step_in_epoch, trainer.steps_per_epoch());
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

/// The config that this run has from here on: the asked one, or where a checkpoint exists the saved
/// one with what may change.
RunConfig choose_config(const RunDirectory& directory, const RunConfig& asked, bool saved) {
  if (!saved) return asked;
  const auto config = merge_saved(directory, asked);
  const auto before = directory.read_config().train.epochs;
  if (config.train.epochs != before && config.schedule.name == "cosine") {
    spdlog::info(
        "resume: {} epochs, was {}: the cosine is stretched from here on, so the learning "
        "rate jumps; the result is neither run's",
        config.train.epochs, before);
  }
  return config;
}

/// Trains in a directory that this process has locked. Returns the signal that stopped it, or 0.
int train_in(const RunDirectory& directory, const TrainRequest& request,
             const Experiment& experiment, bool saved) {
  Trainer trainer(experiment, directory);
  trainer.summary().set_start(request.start);
  if (saved) check_same_data(directory, experiment);
  write_json(directory.config(), to_json(experiment.config()));
  write_environment(directory, request, experiment, saved);
  show_start(request, experiment, directory, trainer);
  check_disk_space(directory, trainer.summary().parameters());

  const auto history = std::make_shared<HistoryWriter>(directory);
  const auto tensorboard = std::make_shared<TensorBoardWriter>(directory.root());
  trainer.add_observer(std::make_shared<ProgressLine>());
  trainer.add_observer(history);
  trainer.add_observer(tensorboard);
  if (!saved) {
    history->clear();
    tensorboard->clear();
  }
  if (request.resume) resume_run(trainer, directory, experiment.config());
  const StopSignals signals;
  return trainer.run();
}

/// An error for want of memory says what the run needed it for; any other is passed on.
[[noreturn]] void rethrow_with_sizes(const std::exception& error, const RunConfig& config) {
  const auto* own = dynamic_cast<const Error*>(&error);
  const std::string text = error.what();
  if ((own != nullptr && own->kind() == Error::Kind::input) || !is_out_of_memory(text)) throw;
  throw run_error(
      "train",
      "out of memory at batch size {} in {} parts, {} px ({}); lower train.batch_size or "
      "data.image_size, or raise train.accumulate (the same batch in more parts)",
      config.train.batch_size, config.train.accumulate, config.data.image_size,
      text.substr(0, text.find('\n')));
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
  const bool saved = has_checkpoint(directory, "last") && request.resume;
  if (goes_on && !request.resume && !request.dry_run) {
    throw input_error("train",
                      "--out {}: already holds a run; add --resume to go on with it, or choose "
                      "another folder",
                      directory.root().string());
  }
  config = choose_config(directory, config, saved);
  if (saved && is_complete(directory, config)) {
    spdlog::info("{}: the run is complete ({} epochs)", directory.root().string(),
                 config.train.epochs);
    return 0;
  }
  resolve_model(config);
  apply_runtime_settings(config);
  const Experiment experiment(config, device);
  if (request.dry_run) {
    Trainer trainer(experiment, directory);
    show_start(request, experiment, directory, trainer);
    spdlog::info("dry run: nothing was trained, nothing was written");
    return 0;
  }
  directory.create();
  const RunLock lock(directory);
  if (directory.holds_run() != goes_on) {
    throw input_error("train", "--out {}: another process has just started a run there",
                      directory.root().string());
  }
  add_log_file(directory.log());
  int stopped = 0;
  try {
    stopped = train_in(directory, request, experiment, saved);
  } catch (const std::exception& error) {
    rethrow_with_sizes(error, config);
  }
  if (stopped != 0) {
    spdlog::info("stopped by signal {}; saved. To go on: the same command with --out {} --resume",
                 stopped, directory.root().string());
    return 128 + stopped;
  }
  spdlog::info("done: {}", directory.root().string());
  return 0;
}

}  // namespace xception
