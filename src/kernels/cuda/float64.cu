#include "table.cuh"

namespace xception::cuda {

const Kernels& float64_kernels() {
  return kTable<double>;
}

}  // namespace xception::cuda
