#include "xception/sweep/sweep.h"

#include "subcommands.h"

namespace xception {
namespace {

void add_status_command(CLI::App& program) {
  struct StatusArguments {
    std::string directory;
    bool watch = false;
    bool json = false;
  };
  auto arguments = std::make_shared<StatusArguments>();
  auto* command = program.add_subcommand("status", "How a sweep stands");
  command->add_option("directory", arguments->directory, "Folder of the sweep")->required();
  command->add_flag("--watch", arguments->watch, "Again every two seconds, until it has ended");
  command->add_flag("--json", arguments->json, "Print JSON");
  command->footer("Example: xception sweep status sweeps/activations --watch");
  command->callback(
      [arguments] { show_sweep_status(arguments->directory, arguments->watch, arguments->json); });
}

}  // namespace

void add_sweep_command(CLI::App& program, Invocation& invocation) {
  auto request = std::make_shared<SweepRequest>();
  auto* command = program.add_subcommand("sweep", "Train every variant of a sweep file");
  add_status_command(*command);
  command->require_subcommand(0, 1);
  command->add_option("file", request->file, "Sweep file (configs/README.md describes it)");
  command->add_option("overrides", request->overrides, "key=value ..., for every trial");
  command->add_option("--data", request->data, "Folder of the data set (data.dir)");
  command->add_option("--out", request->out, "Folder (default: sweeps/<name of the file>)");
  command
      ->add_option("--device", request->device,
                   "auto or all (every GPU, else the CPU), cpu, cuda:N or cuda:0,cuda:1")
      ->capture_default_str();
  command->add_option("--jobs", request->jobs, "Trials at a time (default: one a device)")
      ->check(CLI::Range(1, 1024));
  command->add_option("--launcher", request->launcher, "local or slurm")
      ->check(CLI::IsMember({"local", "slurm"}))
      ->capture_default_str();
  command->add_option("--sbatch", request->sbatch,
                      "An option for sbatch, such as --sbatch=--partition=gpu; may be repeated");
  command->add_flag("--resume", request->resume,
                    "Go on: finished trials are kept, failed ones get their retries again");
  command->add_flag("--dry-run", request->dry_run, "Show the trials and the time that they take");
  command->footer(
      "Example: xception sweep configs/sweeps/quick-activations.json --data data --jobs 2");
  command->callback([command, request, &invocation] {
    if (!command->get_subcommands().empty()) return;
    if (request->file.empty()) throw CLI::RequiredError("file");
    invocation.exit_code = run_sweep(*request);
  });

  // What a task of a Slurm array runs; not in the help.
  struct TrialArguments {
    std::string directory;
    std::string trial;
    std::string device = "auto";
  };
  auto trial = std::make_shared<TrialArguments>();
  auto* one = program.add_subcommand("sweep-trial")->group("");
  one->add_option("directory", trial->directory)->required();
  one->add_option("trial", trial->trial)->required();
  one->add_option("--device", trial->device);
  one->callback([trial, &invocation] {
    invocation.exit_code = run_sweep_trial(trial->directory, trial->trial, trial->device);
  });
}

}  // namespace xception
