#pragma once

#include <array>
#include <cstdlib>

namespace xception {

/// LibTorch's variables that decide what NCCL's watchdog does after an error: it shall abort the
/// communicator (2) and not the process, which has to say first what happened and to tell the other
/// ranks; it shall neither throw a GPU's fault in its own thread, which would end the process by
/// SIGABRT, nor wait for dumps of its flight recorder.
inline constexpr std::array<std::array<const char*, 2>, 2> kNcclErrors{{
    {"TORCH_NCCL_ASYNC_ERROR_HANDLING", "2"},
    {"TORCH_NCCL_RETHROW_CUDA_ERRORS", "0"},
}};
/// Unless the user has set them, to look for a fault.
inline constexpr std::array<std::array<const char*, 2>, 4> kNcclDumps{{
    {"TORCH_NCCL_DUMP_ON_TIMEOUT", "0"},
    {"TORCH_NCCL_ENABLE_MONITORING", "0"},
    {"TORCH_NCCL_WAIT_TIMEOUT_DUMP_MILSEC", "100"},
    {"TORCH_NCCL_TRACE_BUFFER_SIZE", "0"},
}};

/// Sets them; before the first process group of NCCL's is made.
inline void keep_nccl_watchdog_quiet() {
  for (const auto& [name, value] : kNcclErrors) ::setenv(name, value, /*overwrite=*/1);
  for (const auto& [name, value] : kNcclDumps) ::setenv(name, value, /*overwrite=*/0);
}

}  // namespace xception
