#include "table.cuh"

namespace xception::cuda {

const Kernels& float32_kernels() {
  return kTable<float>;
}

}  // namespace xception::cuda
