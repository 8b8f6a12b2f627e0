#pragma once

#include <torch/types.h>

#include <optional>

namespace xception {

/// Joules that a GPU has used since its driver was loaded (NVML, Volta and newer). Unset where the
/// driver doesn't say, and on the CPU: what its counters leave readable is not this process's.
[[nodiscard]] std::optional<double> energy_joules(const torch::Device& device);

}  // namespace xception
