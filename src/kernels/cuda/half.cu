#include "table.cuh"

namespace xception::cuda {

const Kernels& half_kernels() {
  return kTable<__half>;
}

}  // namespace xception::cuda
