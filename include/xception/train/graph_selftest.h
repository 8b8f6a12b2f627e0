#pragma once

#include <torch/types.h>

#include <string>

#include "xception/models/kernel_choice.h"
#include "xception/train/step_graph.h"

namespace xception {

/// Trains a small network on made-up images twice from the same start, step by step and with a
/// graph, over two epochs with a smaller batch at the end, and compares what it has learned. Empty
/// if it is the same but for rounding, else what is wrong. Draws no random numbers of the run's.
/// About a second on a GPU.
///
/// precision: a name of `train.precision`. make: where the graph comes from.
[[nodiscard]] std::string graph_selftest(const torch::Device& device, const std::string& precision,
                                         Kernels kernels,
                                         const StepGraphMaker& make = make_step_graph);

}  // namespace xception
