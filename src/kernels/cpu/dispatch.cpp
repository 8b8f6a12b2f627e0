#include <ATen/Version.h>

#include <string>

#include "kernels.h"

namespace xception::cpu {

const Kernels& kernels(Dtype dtype) {
  // What LibTorch itself goes by; ATEN_CPU_CAPABILITY lowers it.
  static const std::string capability = at::get_cpu_capability();
  if (capability.starts_with("AVX512")) return avx512::kernels(dtype);
  if (capability.starts_with("AVX2")) return avx2::kernels(dtype);
  return baseline::kernels(dtype);
}

}  // namespace xception::cpu
