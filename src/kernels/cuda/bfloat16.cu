#include "table.cuh"

namespace xception::cuda {

const Kernels& bfloat16_kernels() {
  return kTable<__nv_bfloat16>;
}

}  // namespace xception::cuda
