#pragma once

#include "../../../src/kernels/cuda/kernels.h"

namespace xception::cuda_on_host {

/// The sources of the CUDA kernels, compiled for the host; a Queue's stream counts for nothing.
const cuda::Kernels& kernels(cuda::Dtype dtype);

}  // namespace xception::cuda_on_host
