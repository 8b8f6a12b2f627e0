#pragma once

#include <ATen/Context.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>

#include "kernels/cuda/operations.h"
#include "kernels/cuda_on_host/block.h"
#include "kernels/cuda_on_host/kernels.h"

namespace xception {

/// A GPU of three multiprocessors, so that small images have several blocks and loops several
/// turns.
class Host : public CudaBackend {
 public:
  [[nodiscard]] const cuda::Kernels& kernels(cuda::Dtype dtype) const override {
    return cuda_on_host::kernels(dtype);
  }
  void with_queue(const at::Tensor& /*x*/,
                  const std::function<void(const cuda::Queue&)>& work) const override {
    work({.multiprocessors = 3});
  }
};

inline const Operations& operations_on_host() {
  static const Host host;
  static const auto operations = make_cuda_operations(host);
  return *operations;
}

/// While it lives, the host's CUDA kernels serve CPU tensors, and new memory holds NaN.
class ServeByCudaOnHost {
 public:
  explicit ServeByCudaOnHost(std::uint64_t seed = 1) : before_(cuda_on_host::launches()) {
    cuda_on_host::set_seed(seed);
    serve_cpu_tensors_with(&operations_on_host());
    at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true);
    at::globalContext().setDeterministicFillUninitializedMemory(true);
  }
  ServeByCudaOnHost(const ServeByCudaOnHost&) = delete;
  ServeByCudaOnHost& operator=(const ServeByCudaOnHost&) = delete;
  ~ServeByCudaOnHost() {
    EXPECT_GT(cuda_on_host::launches(), before_) << "no kernel ran";
    serve_cpu_tensors_with(nullptr);
    at::globalContext().setDeterministicAlgorithms(false, false);
  }

 private:
  std::int64_t before_;
};

}  // namespace xception
