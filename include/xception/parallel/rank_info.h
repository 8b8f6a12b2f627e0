#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace xception {

/// Who started the ranks of a job.
enum class Launcher {
  none,      ///< a single process
  self,      ///< `xception` itself, one process a device of this machine (launch.h)
  torchrun,  ///< torchrun, or anything that sets RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT
  slurm,     ///< srun
};

/// This process's place among the processes that train together.
struct RankInfo {
  int rank = 0;
  int size = 1;
  int local_rank = 0;  ///< among those of this machine
  int local_size = 1;
  Launcher launcher = Launcher::none;
  std::string store_address;     ///< where the job's key-value store listens
  std::uint16_t store_port = 0;  ///< likewise
  bool hosts_store = false;      ///< whether this process runs the store (rank 0, if nobody else)
  std::string store_prefix;      ///< before every key, so that restarts don't meet old values

  [[nodiscard]] bool is_alone() const { return size == 1; }
};

/// The value of an environment variable, or nothing.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

/// The variables of this process.
[[nodiscard]] std::optional<std::string> process_environment(const std::string& name);

/// Finds the place in the variables of torchrun (or of `xception` itself), else in those of a Slurm
/// step of several tasks. A batch script's or salloc's own variables, which describe the allocation
/// and not a step, make no rank; neither does a step of one task. Errors (input): variables that
/// are missing, not numbers or contradict each other.
[[nodiscard]] RankInfo find_rank(const Environment& environment = process_environment);

/// The first host of a Slurm node list: `gpu[03-05,9],login1` -> `gpu03`. Errors (input): not a
/// node list.
[[nodiscard]] std::string first_slurm_host(const std::string& node_list);

/// The tasks on one node of a Slurm list such as `2(x3),1`. Errors (input): not such a list.
[[nodiscard]] int slurm_tasks_on(const std::string& tasks_per_node, int node);

/// Gives LibTorch as many threads as this process may use processors (core/processors.h), unless
/// OMP_NUM_THREADS or MKL_NUM_THREADS says how many.
void set_threads();

/// Why LibTorch has as many threads as it has.
[[nodiscard]] std::string threads_reason();

/// CPU threads of a rank whose config leaves them open: Slurm's CPUs a task, or an equal part of
/// what the job has on this machine, or of the processors that this process may use. torchrun's
/// OMP_NUM_THREADS=1 is meant for data loaders in other processes and is not followed. 0,
/// LibTorch's own choice, for a process alone.
[[nodiscard]] int rank_threads(const RankInfo& place,
                               const Environment& environment = process_environment);

[[nodiscard]] std::string launcher_name(Launcher launcher);

}  // namespace xception
