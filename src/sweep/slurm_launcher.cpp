#include "slurm_launcher.h"

#include <filesystem>
#include <sstream>

#include "status_table.h"
#include "xception/core/child_process.h"
#include "xception/core/error.h"
#include "xception/core/files.h"
#include "xception/core/first_line.h"
#include "xception/core/log.h"
#include "xception/core/shell.h"
#include "xception/core/signals.h"

namespace xception {
namespace {

std::filesystem::path folder_of(const SweepDirectory& directory) {
  return std::filesystem::absolute(directory.root()) / "slurm";
}

/// Whether Slurm still has an array's tasks; a controller that doesn't answer counts as yes.
bool is_queued(const std::string& job) {
  const auto answer = run_command("squeue --noheader --jobs=" + job + " --format=%T");
  if (answer.code == 0) return !answer.text.empty();
  return answer.text.find("Invalid job id") == std::string::npos;
}

std::string script_text(const SweepDirectory& directory, const std::string& device,
                        std::size_t count, std::int64_t jobs) {
  const auto program = std::filesystem::read_symlink("/proc/self/exe");
  return fmt::format(
      "#!/bin/bash\n"
      "#SBATCH --array=0-{}{}\n"
      "#SBATCH --requeue\n"
      "#SBATCH --open-mode=append\n"
      "#SBATCH --signal=TERM@120\n"
      "mapfile -t trials < {}\n"
      "srun --ntasks=1 --cpus-per-task=\"${{SLURM_CPUS_PER_TASK:-1}}\" {} sweep-trial {} "
      "\"${{trials[$SLURM_ARRAY_TASK_ID]}}\" --device {}\n"
      "code=$?\n"
      "# 128 + 15: stopped after saving; preempted or at its time limit, unless scancel did it.\n"
      "task=${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID\n"
      "if ((code == 143)) && scontrol show job \"$task\" | grep -q JobState=RUNNING; then\n"
      "  scontrol requeue \"$task\" && sleep 120\n"
      "fi\n"
      "exit $code\n",
      count - 1, jobs > 0 ? fmt::format("%{}", jobs) : "",
      shell_quoted((folder_of(directory) / "trials.txt").string()), shell_quoted(program.string()),
      shell_quoted(std::filesystem::absolute(directory.root()).string()), shell_quoted(device));
}

std::string submit(const SweepDirectory& directory, const SweepDescription& description,
                   const std::vector<std::string>& trials, std::int64_t jobs,
                   const std::string& device, const std::vector<std::string>& options) {
  const auto folder = folder_of(directory);
  std::filesystem::create_directories(folder);
  std::string names;
  for (const auto& trial : trials) names += trial + "\n";
  write_file_atomic(folder / "trials.txt", names);
  const auto script = folder / "array.sbatch";
  write_file_atomic(script, script_text(directory, device, trials.size(), jobs));
  // Not in the script, whose #SBATCH lines know no quotes.
  std::string command =
      "sbatch --parsable --job-name=" + shell_quoted("sweep-" + description.name) +
      " --output=" + shell_quoted((folder / "%a.log").string());
  for (const auto& option : options) command += " " + shell_quoted(option);
  const auto answer = run_command(command + " " + shell_quoted(script.string()));
  if (answer.code != 0) {
    throw input_error("sweep", "--launcher slurm: sbatch says: {}", first_line(answer.text));
  }
  // Warnings may stand around the line with the number.
  std::string job;
  std::istringstream lines(answer.text);
  for (std::string line; job.empty() && std::getline(lines, line);) {
    const auto number = line.substr(0, line.find(';'));
    if (!number.empty() && number.find_first_not_of("0123456789") == std::string::npos)
      job = number;
  }
  if (job.empty()) {
    throw input_error("sweep", "--launcher slurm: sbatch gave no job number: {}",
                      first_line(answer.text));
  }
  write_file_atomic(folder / "job.txt", job + "\n");
  return job;
}

}  // namespace

int run_on_slurm(const SweepDirectory& directory, const SweepDescription& description,
                 const std::vector<std::string>& trials, std::int64_t jobs,
                 const std::string& device, const std::vector<std::string>& options) {
  if (run_command("command -v sbatch squeue").code != 0) {
    throw input_error("sweep", "--launcher slurm: sbatch and squeue are not on this machine");
  }
  const auto job_file = folder_of(directory) / "job.txt";
  std::string job;
  if (std::filesystem::exists(job_file)) {
    job = read_file(job_file, "sweep");
    job = first_line(job);
    if (is_queued(job)) {
      spdlog::info("job array {} is in Slurm's queue: waiting for it", job);
    } else {
      job.clear();
    }
  }
  if (job.empty()) {
    if (trials.empty()) return 0;
    job = submit(directory, description, trials, jobs, device, options);
    spdlog::info("job array {} of {} tasks is submitted; squeue --jobs={} shows it", job,
                 trials.size(), job);
  }
  const SignalQueue signals;
  StatusTable table;
  while (is_queued(job)) {
    table.show(directory, description);
    const auto arrival = signals.wait(std::chrono::seconds(2));
    if (!is_stop_signal(arrival.number)) continue;
    table.clear();
    spdlog::info(
        "job array {} goes on without this process; scancel {} ends it, --resume waits for "
        "it again",
        job, job);
    return arrival.number;
  }
  table.clear();
  return 0;
}

}  // namespace xception
