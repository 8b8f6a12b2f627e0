#include "xception/core/device_fault.h"

#include <gtest/gtest.h>

#include "xception/core/memory.h"

namespace xception {
namespace {

// As LibTorch 2.11, CUDA 13.0, cuBLAS and cuDNN 9.19 word them.
TEST(DeviceFault, IsKnownByItsText) {
  for (const auto* text :
       {"CUDA error: an illegal memory access was encountered\nSearch for "
        "`cudaErrorIllegalAddress'",
        "CUDA error: misaligned address", "CUDA error: unspecified launch failure",
        "CUDA error: an illegal instruction was encountered",
        "CUDA error: device-side assert triggered",
        "CUDA error: the launch timed out and was terminated",
        "CUDA error: uncorrectable ECC error encountered"}) {
    EXPECT_TRUE(is_device_fault(text)) << text;
    EXPECT_FALSE(is_out_of_memory(text)) << text;
  }
  for (const auto* text :
       {"CUDA error: invalid argument", "CUDA error: invalid configuration argument",
        "CUDA error: no kernel image is available for execution on the device",
        "CUDA error: operation failed due to a previous error during capture",
        "CUDA error: all CUDA-capable devices are busy or unavailable",
        "NCCL error: remote process exited or there was a network error",
        "GET was unable to find an engine to execute this computation"}) {
    EXPECT_FALSE(is_device_fault(text)) << text;
    EXPECT_FALSE(is_out_of_memory(text)) << text;
  }
}

TEST(DeviceFault, IsNotWantOfMemory) {
  for (const auto* text :
       {"CUDA out of memory. Tried to allocate 2.00 GiB.", "CUDA driver error: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
        "[enforce fail at alloc_cpu.cpp:125] DefaultCPUAllocator: can't allocate memory",
        "std::bad_alloc"}) {
    EXPECT_TRUE(is_out_of_memory(text)) << text;
    EXPECT_FALSE(is_device_fault(text)) << text;
  }
}

/// Its end would hinder the process's.
struct Stubborn {
  ~Stubborn() { std::abort(); }
};

TEST(DeviceFaultDeathTest, EndsAtOnceWithOneLine) {
  EXPECT_EXIT(
      {
        const Stubborn stubborn;
        end_after_device_fault("[train] cuda:0: CUDA error: an illegal memory access");
      },
      testing::ExitedWithCode(1),
      "^error: \\[train\\] cuda:0: CUDA error: an illegal memory access\n$");
}

}  // namespace
}  // namespace xception
