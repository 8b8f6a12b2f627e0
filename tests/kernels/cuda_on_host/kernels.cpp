#include "kernels/cuda_on_host/kernels.h"

// clang-format off
#include "kernels/cuda_on_host/cuda.h"
#include "../../../src/kernels/cuda/table.cuh"
// clang-format on

namespace xception::cuda_on_host {

const cuda::Kernels& kernels(cuda::Dtype dtype) {
  switch (dtype) {
    case cuda::Dtype::half:
      return cuda::kTable<c10::Half>;
    case cuda::Dtype::bfloat16:
      return cuda::kTable<c10::BFloat16>;
    case cuda::Dtype::float32:
      return cuda::kTable<float>;
    case cuda::Dtype::float64:
      return cuda::kTable<double>;
  }
  throw std::logic_error("a dtype that isn't the enum's");
}

}  // namespace xception::cuda_on_host
