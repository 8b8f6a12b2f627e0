#pragma once

#include <torch/types.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "xception/models/kernel_choice.h"
#include "xception/parallel/communicator.h"
#include "xception/train/run_config.h"

namespace xception {

/// How steps are computed on a device, and where that isn't what the config asks for, why.
struct Execution {
  Kernels kernels = Kernels::reference;
  std::string kernels_reason = {};  ///< why `auto` came to reference
  bool graph = false;               ///< whether the step is to be recorded as a CUDA graph
  std::string graph_reason = {};    ///< why not
};

/// `kernels`, `kernels_reason`, `cuda_graph` (`on`, `off`), `cuda_graph_reason`.
[[nodiscard]] nlohmann::ordered_json to_json(const Execution& execution);

/// For what doesn't train (evaluation, prediction): the kernels of `train.kernels`. `auto`: fused
/// on a CPU; on a GPU too if they pass their test there (ask_device), else reference, with a
/// warning.
[[nodiscard]] Execution plan_evaluation(const RunConfig& config, const torch::Device& device);

/// Whether a plan makes tests, or takes what isn't known for passed (a dry run).
enum class Asking { ask, look };

/// For training: the same, and whether the step is recorded (`train.cuda_graph`): on a GPU, by one
/// rank, if that passes its test, else with a warning. A collective: all ranks come to the same
/// kernels.
[[nodiscard]] Execution plan_training(const RunConfig& config, const torch::Device& device,
                                      Communicator& ranks, Asking asking = Asking::ask);

/// Makes the kernels' test now, where a plan would: before this process opens a GPU that may take
/// one process only, and before other ranks wait.
void ask_early(const RunConfig& config, const torch::Device& device);

/// One of the two.
using ExecutionPlanner = std::function<Execution(const RunConfig&, const torch::Device&)>;

}  // namespace xception
