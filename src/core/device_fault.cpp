#include "xception/core/device_fault.h"

#include <cstdio>
#include <cstdlib>

#include "xception/core/log.h"
#include "xception/core/memory.h"

namespace xception {

bool is_device_fault(std::string_view text) {
  if (is_out_of_memory(text)) return false;
  // CUDA's runtime: cudaGetErrorString of 13.0, its spelling included.
  for (const std::string_view words :
       {"illegal memory access was encountered", "misaligned address",
        "illegal instruction was encountered", "invalid program counter",
        "unspecified launch failure", "hardware stack error", "device-side assert triggered",
        "context is destroyed", "invalid device context", "the launch timed out and was terminated",
        "not supported on global/shared address space", "uncorrectable ECC error",
        "uncorrectable NVLink error", "Invalid access of peer GPU memory",
        "async error has occured in external entity", "tensor memory not completely freed",
        "MPS client has been terminated", "CUDA error: unknown error"}) {
    if (text.find(words) != std::string_view::npos) return true;
  }
  return false;
}

void end_after_device_fault(const std::string& line) {
  print_error(line);
  spdlog::default_logger()->flush();
  std::fflush(nullptr);
  std::_Exit(1);
}

}  // namespace xception
