#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include "operations.h"
#include "xception/core/error.h"

namespace xception {
namespace cuda {

void check_launch(const char* kernel) {
  const cudaError_t error = cudaGetLastError();
  if (error == cudaSuccess) return;
  throw run_error("kernels", "{}: {}", kernel, cudaGetErrorString(error));
}

const Kernels& kernels(Dtype dtype) {
  switch (dtype) {
    case Dtype::half:
      return half_kernels();
    case Dtype::bfloat16:
      return bfloat16_kernels();
    case Dtype::float32:
      return float32_kernels();
    case Dtype::float64:
      return float64_kernels();
  }
  throw run_error("kernels", "dtype {} is not one of the enum's", static_cast<int>(dtype));
}

}  // namespace cuda

namespace {

class Gpu : public CudaBackend {
 public:
  [[nodiscard]] const cuda::Kernels& kernels(cuda::Dtype dtype) const override {
    return cuda::kernels(dtype);
  }

  void with_queue(const at::Tensor& x,
                  const std::function<void(const cuda::Queue&)>& work) const override {
    const c10::cuda::CUDAGuard guard(x.device());
    cuda::Queue queue{.stream = c10::cuda::getCurrentCUDAStream().stream()};
    C10_CUDA_CHECK(cudaDeviceGetAttribute(&queue.multiprocessors, cudaDevAttrMultiProcessorCount,
                                          x.device().index()));
    work(queue);
  }
};

}  // namespace

const Operations* cuda_operations() {
  static const Gpu gpu;
  static const auto operations = make_cuda_operations(gpu);
  return operations.get();
}

}  // namespace xception
