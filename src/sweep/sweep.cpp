#include "xception/sweep/sweep.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "local_launcher.h"
#include "plan_checks.h"
#include "slurm_launcher.h"
#include "status_table.h"
#include "xception/core/error.h"
#include "xception/core/folder_lock.h"
#include "xception/core/format.h"
#include "xception/core/json.h"
#include "xception/core/log.h"
#include "xception/core/paths.h"
#include "xception/core/signals.h"
#include "xception/data/loader.h"
#include "xception/parallel/device.h"
#include "xception/parallel/launch.h"
#include "xception/sweep/leaderboard.h"
#include "xception/sweep/trial_process.h"

namespace xception {
namespace {

/// Where trials may run: every GPU, else the CPU; or what the user names.
std::vector<std::string> sweep_devices(const std::string& device) {
  using Kind = DeviceChoice::Kind;
  const auto choice = parse_device_choice(device);
  if (choice.kind == Kind::cpu) return {device};
  if (choice.kind == Kind::cuda) return {gpu_name(0)};
  std::vector<std::string> gpus;
  for (const int number : choice.gpus) gpus.push_back(gpu_name(number));
  if (choice.kind == Kind::gpus) return gpus;
  const std::int64_t there = count_gpus_elsewhere();
  for (std::int64_t i = 0; i < there; ++i) gpus.push_back(gpu_name(i));
  return gpus.empty() ? std::vector<std::string>{"cpu"} : gpus;
}

/// Takes over the names of run directories that hold the same trials under other labels.
void keep_old_names(const SweepDirectory& directory, TrialPlan& plan) {
  std::error_code error;
  std::vector<std::string> names;
  for (const auto& entry :
       std::filesystem::directory_iterator(directory.root() / "trials", error)) {
    names.push_back(entry.path().filename().string());
  }
  for (auto& trial : plan.trials) {
    const auto ending = "-" + trial.hash.substr(0, 8);
    for (const auto& name : names) {
      if (name.ends_with(ending)) trial.name = name;
    }
  }
}

std::vector<TrialProgress> all_progress(const SweepDirectory& directory,
                                        const SweepDescription& description) {
  std::vector<TrialProgress> all;
  for (const auto& trial : description.trials) {
    auto status = read_status(directory, description, trial);
    // Going on gives a trial that failed for good its retries again.
    if (status.state == TrialState::failed) {
      directory.write(trial.name, {.outcome = "resumed", .epochs = status.result.epochs});
      status.state = TrialState::interrupted;
    }
    all.push_back(progress_of(status, trial, description.metric));
  }
  return all;
}

/// The leaderboard on disk and on the screen; returns the exit code.
int conclude(const SweepDirectory& directory, const SweepDescription& description,
             bool all_must_end) {
  const auto statuses = read_all(directory, description);
  const auto board = rank_variants(description, statuses);
  write_leaderboard(directory, description, board);
  spdlog::info("\n{}", leaderboard_text(description, board));
  const auto missing = std::count_if(statuses.begin(), statuses.end(), [](const TrialStatus& s) {
    return s.state != TrialState::complete;
  });
  const bool none = missing == std::ssize(statuses);
  if (none) {
    spdlog::warn("warning: no trial is complete, so nothing is compared; {} says why",
                 directory.leaderboard("md").string());
  } else {
    spdlog::info("done: {}", directory.leaderboard("md").string());
  }
  if (all_must_end && missing > 0) {
    spdlog::info("{} trials are not complete; --resume submits them again", missing);
    return 1;
  }
  const bool failed = std::any_of(statuses.begin(), statuses.end(), [](const TrialStatus& s) {
    return s.state == TrialState::failed;
  });
  return none || failed ? 1 : 0;
}

/// Errors (input): what a Slurm array can't keep.
void check_launcher(const SweepRequest& request, const SweepConfig& sweep) {
  if (request.launcher != "slurm") return;
  if (sweep.halving) {
    throw input_error("sweep",
                      "{}: asha: a Slurm array runs every trial to its end; take it out, or "
                      "--launcher local",
                      request.file.string());
  }
  if (sweep.max_epochs > 0 || sweep.max_hours > 0) {
    throw input_error(
        "sweep",
        "{}: limits: epochs and hours are not kept by a Slurm array; take them out (sbatch "
        "--time), or --launcher local",
        request.file.string());
  }
}

/// Puts what the data set decides into the trials' base, as their runs will record it.
void settle_data(SweepConfig& sweep, const Dataset& dataset) {
  sweep.base["data"]["format"] = dataset.format;
  auto& model = sweep.base["model"];
  if (!model.contains("num_classes")) model["num_classes"] = dataset.num_classes();
}

/// The checked trials, which know the data's folder wherever they run.
TrialPlan checked_plan(const SweepConfig& sweep, const Dataset& dataset) {
  auto plan = plan_trials(sweep, dataset.checksum);
  for (auto& trial : plan.trials) {
    trial.config.data.dir =
        text_of_path(std::filesystem::absolute(dataset.folder).lexically_normal());
  }
  check_trials(sweep, plan, dataset);
  check_ends(sweep, plan);
  return plan;
}

/// Errors (input): the folder holds a sweep, and nobody said to go on with it.
void refuse_old(const SweepDirectory& directory, bool resume) {
  if (!directory.holds_sweep() || resume) return;
  throw input_error("sweep",
                    "{}: already holds a sweep; add --resume to go on with it, or choose another "
                    "folder by --out",
                    directory.root().string());
}

/// Writes what the trials' processes, and later `sweep --resume`, read.
SweepDescription write_plan(const SweepDirectory& directory, const SweepConfig& sweep,
                            TrialPlan& plan) {
  keep_old_names(directory, plan);
  auto description = describe_sweep(sweep, plan);
  for (const auto& trial : plan.trials) {
    write_json(directory.config(trial.name), to_json(trial.config));
  }
  write_json(directory.description(), to_json(description));
  return description;
}

/// Runs what isn't complete. Returns the signal that stopped it, or 0.
int run_trials(const SweepRequest& request, const SweepConfig& sweep,
               const SweepDirectory& directory, const SweepDescription& description,
               const std::vector<std::string>& devices, std::int64_t jobs) {
  const auto progress = all_progress(directory, description);
  const auto complete = std::count_if(progress.begin(), progress.end(),
                                      [](const TrialProgress& p) { return p.complete; });
  spdlog::info("{}: {} trials, {} complete; {} at a time on {}", directory.root().string(),
               progress.size(), complete, jobs, fmt::join(devices, ", "));
  if (request.launcher == "slurm") {
    std::vector<std::string> waiting;
    for (std::size_t i = 0; i < progress.size(); ++i) {
      if (!progress[i].complete) waiting.push_back(description.trials[i].name);
    }
    return run_on_slurm(directory, description, waiting, request.jobs, request.device,
                        request.sbatch);
  }
  const auto scheduler =
      sweep.halving ? halve(progress, *sweep.halving, sweep.metric.maximize) : run_all(progress);
  return run_locally(directory, description, *scheduler,
                     {.devices = devices,
                      .jobs = jobs,
                      .threads = std::max<std::int64_t>(1, at::get_num_threads() / jobs),
                      .max_epochs = sweep.max_epochs,
                      .max_hours = sweep.max_hours});
}

}  // namespace

int run_sweep(const SweepRequest& request) {
  auto overrides = request.overrides;
  if (!request.data.empty())
    overrides.push_back("data.dir=" + nlohmann::json(text_of_path(request.data)).dump());
  auto sweep = read_sweep(request.file, overrides);
  check_launcher(request, sweep);
  const auto dataset = load_dataset(config_of_json(sweep.base, request.file.string()).data);
  settle_data(sweep, dataset);
  auto plan = checked_plan(sweep, dataset);
  const auto devices = sweep_devices(request.device);
  const auto jobs = request.jobs > 0 ? request.jobs : static_cast<std::int64_t>(devices.size());
  if (request.dry_run) {
    show_plan(sweep, plan, dataset, jobs, devices.front());
    return 0;
  }

  const SweepDirectory directory(request.out.empty() ? "sweeps/" + sweep.name : request.out);
  refuse_old(directory, request.resume);
  directory.create();
  const FolderLock lock(
      directory.root(),
      fmt::format("{}: another process runs a sweep there; wait for it, or choose "
                  "another folder by --out",
                  directory.root().string()));
  refuse_old(directory, request.resume);  // one that was started at the same time may have ended
  const auto description = write_plan(directory, sweep, plan);
  const int stopped = run_trials(request, sweep, directory, description, devices, jobs);
  if (stopped != 0) {
    spdlog::info("stopped by signal {}. To go on: the same command with --out {} --resume", stopped,
                 directory.root().string());
    return 128 + stopped;
  }
  return conclude(directory, description, /*all_must_end=*/request.launcher == "slurm");
}

int run_sweep_trial(const std::filesystem::path& path, const std::string& name,
                    const std::string& device) {
  const SweepDirectory directory(path);
  auto description = read_description(directory);
  const auto trial =
      std::find_if(description.trials.begin(), description.trials.end(),
                   [&](const SweepDescription::Entry& entry) { return entry.name == name; });
  if (trial == description.trials.end()) {
    throw input_error("sweep", "{}: has no trial {}", path.string(), name);
  }
  description.trials = {*trial};
  RankInfo place;
  place.launcher = Launcher::slurm;
  place.size = 2;  // rank_threads leaves a process alone to LibTorch
  place.local_size = 1;
  const auto scheduler = run_all(all_progress(directory, description));
  const int stopped = run_locally(directory, description, *scheduler,
                                  {.devices = {device}, .threads = rank_threads(place)});
  if (stopped != 0) return 128 + stopped;
  const auto status = read_status(directory, description, description.trials.front());
  return status.state == TrialState::complete ? 0 : 1;
}

void show_sweep_status(const std::filesystem::path& path, bool watch, bool json) {
  const SweepDirectory directory(path);
  StatusTable table;
  const SignalQueue signals;
  while (true) {
    const auto description = read_description(directory);
    const auto trials = read_all(directory, description);
    const auto open = std::any_of(trials.begin(), trials.end(), [](const TrialStatus& status) {
      return status.state == TrialState::running || status.state == TrialState::waiting;
    });
    const bool last = !watch || !open;
    if (json && last) {
      nlohmann::ordered_json list = nlohmann::ordered_json::array();
      for (std::size_t i = 0; i < trials.size(); ++i) {
        const auto& status = trials[i];
        list.push_back(
            {{"trial", description.trials[i].name},
             {"variant", description.variants[description.trials[i].variant]},
             {"seed", description.trials[i].seed},
             {"state", state_name(status.state)},
             {"epochs", status.result.epochs},
             {"of", description.trials[i].epochs},
             {"metric", status.result.metric ? nlohmann::ordered_json(*status.result.metric)
                                             : nlohmann::ordered_json(nullptr)},
             {"device", status.device},
             {"failures", status.failures},
             {"reason", status.reason}});
      }
      table.clear();
      std::printf("%s\n", list.dump(2).c_str());
      return;
    }
    if (last || !StatusLine::available()) {
      table.clear();
      for (const auto& line : status_lines(description, trials, false)) spdlog::info("{}", line);
    } else {
      table.draw(status_lines(description, trials, false));
    }
    if (last) return;
    const auto arrival = signals.wait(std::chrono::seconds(2));
    if (is_stop_signal(arrival.number)) return;
  }
}

}  // namespace xception
