#pragma once

#include <functional>
#include <memory>

#include "../operations.h"
#include "kernels.h"

namespace xception {

/// Where CUDA operations run: a GPU, or the host in tests.
class CudaBackend {
 public:
  virtual ~CudaBackend() = default;
  [[nodiscard]] virtual const cuda::Kernels& kernels(cuda::Dtype dtype) const = 0;
  /// Calls `work` with x's device made the current one.
  virtual void with_queue(const at::Tensor& x,
                          const std::function<void(const cuda::Queue&)>& work) const = 0;
};

/// Packs tensors for the kernels; all memory is LibTorch's. Images may be channel slices of
/// channels_last ones where Operations doesn't need their windows; x of the depthwise convolution
/// too. `place` must outlive the result. Errors (run): an image of other strides.
[[nodiscard]] std::unique_ptr<const Operations> make_cuda_operations(const CudaBackend& place);

}  // namespace xception
