#include "xception/train/start.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "environment_file.h"
#include "rank_check.h"
#include "run_start.h"
#include "start_table.h"
#include "xception/core/error.h"
#include "xception/core/first_line.h"
#include "xception/core/format.h"
#include "xception/core/json.h"
#include "xception/core/log.h"
#include "xception/core/paths.h"
#include "xception/core/signals.h"
#include "xception/core/suspension.h"
#include "xception/data/image_grid.h"
#include "xception/models/registry.h"
#include "xception/parallel/device.h"
#include "xception/parallel/failure_cause.h"
#include "xception/parallel/launch.h"
#include "xception/train/epoch_steps.h"
#include "xception/train/history.h"
#include "xception/train/progress_line.h"
#include "xception/train/tensorboard.h"
#include "xception/train/trainer.h"

namespace xception {
namespace {

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

/// Takes up where the last checkpoint is.
void resume_run(Trainer& trainer, const RunDirectory& directory, const RunConfig& config) {
  const auto place = trainer.resume();
  const auto begun = place.epoch + (place.step_in_epoch > 0 ? 1 : 0);
  if (begun > config.train.epochs) {
    throw input_error("train",
                      "train.epochs: found {}, but the run in {} {} epoch {} already; expected at "
                      "least that",
                      config.train.epochs, directory.root().string(),
                      place.step_in_epoch > 0 ? "is inside" : "has", begun);
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

/// The first training images as the first epoch's transforms leave them.
RgbImage sample_images(const Experiment& experiment) {
  constexpr std::size_t kTrialImages = 16;
  LoaderOptions options{.indices = experiment.splits().train,
                        .transforms = TransformList::train,
                        .steps = PixelSteps::unnormalized,
                        .progressive = true};
  options.indices.resize(std::min(options.indices.size(), kTrialImages));
  const auto loader =
      make_loader(experiment.dataset(), experiment.config(), options, experiment.device());
  loader->start_epoch(0);
  return image_grid(loader->next(loader->size()).images.permute({0, 2, 3, 1}).cpu());
}

/// The run's files and who writes them: rank 0 alone.
void add_observers(Trainer& trainer, const RunDirectory& directory, const Experiment& experiment,
                   bool saved) {
  const auto history = std::make_shared<HistoryWriter>(directory);
  const auto tensorboard = std::make_shared<TensorBoardWriter>(directory.root());
  trainer.add_observer(std::make_shared<ProgressLine>());
  trainer.add_observer(history);
  trainer.add_observer(tensorboard);
  if (saved) return;
  history->clear();
  tensorboard->clear();
  tensorboard->write_start(decisive_config(to_json(experiment.config())),
                           sample_images(experiment));
}

/// How a training ended.
struct TrainEnd {
  int signal = 0;                            ///< that stopped it
  std::optional<std::int64_t> paused_after;  ///< the epoch of train.stop_after_epoch
};

/// Trains in a directory that rank 0 has locked.
TrainEnd train_in(const RunDirectory& directory, const TrainRequest& request,
                  const Experiment& experiment, const std::shared_ptr<Communicator>& ranks,
                  const std::vector<RankReport>& reports, bool saved) {
  Trainer trainer(experiment, directory, ranks);
  trainer.summary().set_start(request.start);
  const bool root = ranks->is_root();
  if (root) {
    if (saved) check_same_data(directory, experiment);
    show_start(request, experiment, directory, trainer, reports);
    check_disk_space(directory, trainer.summary().complexity().parameters);
  }
  if (!saved && !experiment.config().train.init.empty()) trainer.load_initial_weights();
  // Where a run goes on, nothing is written before that is agreed to.
  if (saved) {
    if (root) add_observers(trainer, directory, experiment, saved);
    resume_run(trainer, directory, experiment.config());
  } else if (request.resume) {
    spdlog::info("resume: no checkpoint was saved in {} yet; starting from the beginning",
                 directory.root().string());
  }
  if (root) {
    write_json(directory.config(), to_json(experiment.config()));
    write_environment(directory, request, experiment, reports, ranks->place(), saved);
    if (!saved) add_observers(trainer, directory, experiment, saved);
  }
  const StopSignals signals;
  const SuspensionWatch suspensions;
  TrainEnd end;
  end.signal = trainer.run();
  end.paused_after = trainer.paused_after();
  return end;
}

/// An error for want of memory says what the run needed it for; any other is passed on.
[[noreturn]] void rethrow_with_sizes(const std::exception& error, const RunConfig& config,
                                     const torch::Device& device) {
  const auto* own = dynamic_cast<const Error*>(&error);
  const std::string text = error.what();
  if (own != nullptr && own->kind() == Error::Kind::input) throw;
  if (cause_of(text, device) != FailureCause::memory) throw;
  throw run_error(
      "train",
      "out of memory at batch size {} in {} parts, {} px ({}); lower train.batch_size or "
      "data.image_size, or raise train.accumulate (the same batch in more parts)",
      fmt::join(batch_sizes(config.train), ", "), config.train.accumulate, config.data.image_size,
      first_line(text));
}

/// One rank, or a process alone, from its config to its end. Returns the exit code.
int train_rank(const TrainRequest& request, const RunConfig& asked, const torch::Device& device,
               const std::shared_ptr<Communicator>& ranks) {
  auto start = decide_start(request, asked, *ranks);
  RunDirectory directory(start.directory);
  if (start.complete > 0) {
    spdlog::info("{}: the run is complete ({} epochs{})", directory.root().string(), start.complete,
                 start.complete > start.config.train.epochs
                     ? fmt::format(", more than the {} asked for: nothing is taken back",
                                   start.config.train.epochs)
                     : "");
    return 0;
  }
  check_batch_size(start.config, ranks->size());
  if (!start.saved) check_together(start.config);
  resolve_model(start.config);
  apply_runtime_settings(start.config, ranks->place());
  auto dataset = load_dataset(start.config.data);
  for (const auto& note : dataset.notes) {
    if (ranks->place().rank == 0) spdlog::warn("{}: {}", dataset.folder.string(), note);
  }
  // A run directory finds its data from any working directory.
  start.config.data.dir =
      text_of_path(std::filesystem::absolute(dataset.folder).lexically_normal());
  start.config.data.format = dataset.format;
  const auto reports = check_ranks(*ranks, dataset, device);
  const Experiment experiment(start.config, std::move(dataset), device,
                              [&](const RunConfig& config, const torch::Device& on) {
                                const auto asking = request.dry_run ? Asking::look : Asking::ask;
                                return plan_training(config, on, *ranks, asking);
                              });
  if (request.dry_run) {
    Trainer trainer(experiment, directory, ranks);
    if (ranks->is_root()) show_start(request, experiment, directory, trainer, reports);
    if (!start.config.train.init.empty() && !start.saved) trainer.load_initial_weights();
    spdlog::info("dry run: nothing was trained, nothing was written");
    return 0;
  }
  std::optional<RunLock> lock;
  if (ranks->is_root()) {
    // Not before all is checked: a start that is refused leaves no empty folder.
    if (request.out.empty() && !request.resume) {
      directory = claim_run_directory(run_name(request, start.config));
    }
    const bool held_run = directory.holds_run();
    directory.create();
    lock.emplace(directory);
    if (directory.holds_run() != held_run) {
      throw input_error("train", "--out {}: another process has just started a run there",
                        directory.root().string());
    }
    add_log_file(directory.log());
  }
  TrainEnd end;
  try {
    end = train_in(directory, request, experiment, ranks, reports, start.saved);
  } catch (const LostContact&) {
    throw;
  } catch (const std::exception& error) {
    rethrow_with_sizes(error, start.config, device);
  }
  if (end.signal != 0) {
    spdlog::info("stopped by signal {}; saved. To go on: the same command with --out {} --resume",
                 end.signal, directory.root().string());
    return 128 + end.signal;
  }
  if (end.paused_after) {
    // Whoever leaves the key out when going on gets the saved one, and would stay here.
    spdlog::info(
        "paused after epoch {} of {}, as train.stop_after_epoch={} says; saved. To go on: --out {} "
        "--resume and train.stop_after_epoch=0, or a later epoch, in the same command",
        *end.paused_after, start.config.train.epochs, start.config.train.stop_after_epoch,
        directory.root().string());
    return 0;
  }
  spdlog::info("done: {}", directory.root().string());
  return 0;
}

/// Meets the other ranks, trains, and takes leave; a failure ends this process and tells the
/// others.
int join_ranks(const TrainRequest& request, const RunConfig& config, const JobPlan& plan) {
  const auto device = parse_device(plan.device);
  if (plan.place.is_alone()) return train_rank(request, config, device, Communicator::alone());
  if (!request.dry_run) ask_early(config, device);
  const auto milliseconds = [](double seconds) {
    return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000.0));
  };
  const auto ranks = Communicator::connect(plan.place, device,
                                           {.collective = milliseconds(config.parallel.timeout),
                                            .heartbeat = milliseconds(config.parallel.heartbeat)});
  if (!ranks->is_root()) spdlog::set_level(spdlog::level::off);
  try {
    const int code = train_rank(request, config, device, ranks);
    ranks->finish();
    return code;
  } catch (const LostContact& error) {
    ranks->fail(error.what(), 1, /*contact_lost=*/true);
    throw;
  } catch (const std::exception&) {
    const auto error = describe_error(std::current_exception());
    ranks->fail(error.message, error.exit_code, /*contact_lost=*/false);
    throw;
  }
}

}  // namespace

RunConfig requested_config(const TrainRequest& request) {
  auto overrides = request.overrides;
  if (!request.data.empty())
    overrides.push_back("data.dir=" + nlohmann::json(text_of_path(request.data)).dump());
  if (!request.init.empty()) {
    const auto file = std::filesystem::absolute(request.init).lexically_normal();
    overrides.push_back("train.init=" + nlohmann::json(text_of_path(file)).dump());
  }
  if (request.deterministic) overrides.emplace_back("train.deterministic=true");
  return load_config(request.config_file, overrides);
}

int start_training(const TrainRequest& request) {
  ignore_write_signals();
  ignore_save_signals();
  auto config = requested_config(request);
  const auto plan = plan_job(request.device, request.ranks);
  const int ranks = plan.to_launch > 0 ? plan.to_launch : plan.place.size;
  resolve_batch_size(config, ranks);
  // A run that goes on keeps the batch that it was started with; rank 0 looks.
  if (!request.resume) {
    check_batch_size(config, ranks);
    check_together(config);
  }
  if (plan.to_launch > 0) return launch_ranks(plan.to_launch, request.command_line);
  return join_ranks(request, config, plan);
}

}  // namespace xception
