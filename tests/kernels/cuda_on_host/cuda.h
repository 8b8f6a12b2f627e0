#pragma once

#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>

#include <cmath>
#include <stdexcept>

#include "../../../src/kernels/cuda/kernels.h"
#include "kernels/cuda_on_host/block.h"

// What nvcc and CUDA's headers bring, for the compiler of the host: to be read before the sources
// in src/kernels/cuda. Include only where these macros hurt nobody.

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __syncthreads() ::xception::cuda_on_host::barrier(__LINE__)
#define threadIdx ::xception::cuda_on_host::thread_index
#define blockIdx ::xception::cuda_on_host::block_index
#define blockDim ::xception::cuda_on_host::block_size
#define gridDim ::xception::cuda_on_host::grid_size
#define XCEPTION_SHARED(type, name, count) \
  auto* const name =                       \
      static_cast<type*>(::xception::cuda_on_host::shared_memory(sizeof(type) * (count)))

namespace xception::cuda {
namespace {

template <typename... Parameters, typename... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), const Grid& grid,
            const Queue& /*queue*/, const Arguments&... arguments) {
  cuda_on_host::run_blocks(name, grid.blocks, grid.threads_x, grid.threads_y,
                           [&] { kernel(arguments...); });
}

}  // namespace
}  // namespace xception::cuda
