#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "xception/parallel/rank_info.h"

namespace xception {

/// How a job is spread over processes, decided before any device is touched.
struct JobPlan {
  RankInfo place;      ///< this process's
  int to_launch = 0;   ///< above 0: this process starts so many ranks, waits and computes nothing
  std::string device;  ///< else: of this rank, as parse_device takes it
};

/// Reads `--device` (auto, cpu, cuda, cuda:N, a list of GPUs, all) and `--ranks` (0: not given)
/// with what torchrun or Slurm say. GPUs are counted by a child process, so that a process that
/// only launches never starts CUDA. Errors (input): what contradicts itself or isn't there.
[[nodiscard]] JobPlan plan_job(const std::string& device, std::int64_t ranks,
                               const Environment& environment = process_environment);

/// How many GPUs a process of this program would see: asked of one, so that this one doesn't start
/// CUDA.
[[nodiscard]] std::int64_t count_gpus_elsewhere();

/// The device of a rank that torchrun, Slurm or we started, on a machine with so many visible GPUs.
/// Errors (input): more ranks than GPUs, or another number of ranks than a list has GPUs.
[[nodiscard]] std::string device_of_rank(const std::string& device, const RankInfo& place,
                                         std::int64_t visible_gpus);

/// Starts ranks of this program with this command line on this machine, hands on SIGINT and
/// SIGTERM, and ends all of them when one fails. Returns the exit code of the job; a rank that was
/// killed is reported here, other failures by the rank itself.
[[nodiscard]] int launch_ranks(int ranks, const std::vector<std::string>& command_line);

}  // namespace xception
