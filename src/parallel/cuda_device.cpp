#include "cuda_device.h"

#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <fmt/format.h>

namespace xception {

namespace {

std::int64_t free_memory_bytes(const torch::Device& device) {
  const c10::cuda::CUDAGuard guard(device);
  std::size_t free_bytes = 0;
  std::size_t total_bytes = 0;
  C10_CUDA_CHECK(cudaMemGetInfo(&free_bytes, &total_bytes));
  return static_cast<std::int64_t>(free_bytes);
}

}  // namespace

// A guard would open a context: cudaSetDevice does since CUDA 12.
DeviceInfo describe_cuda_device(const torch::Device& device) {
  const auto* properties = at::cuda::getDeviceProperties(device.index());
  return {.device = device,
          .name = properties->name,
          .memory_bytes = static_cast<std::int64_t>(properties->totalGlobalMem),
          .compute_capability = fmt::format("{}.{}", properties->major, properties->minor)};
}

int cuda_driver_version() {
  int version = 0;
  if (cudaDriverGetVersion(&version) != cudaSuccess) return 0;
  return version;
}

std::string cuda_device_identity(const torch::Device& device) {
  std::string text;
  for (const char byte : at::cuda::getDeviceProperties(device.index())->uuid.bytes) {
    text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  }
  return text;
}

bool cuda_device_answers(const torch::Device& device) {
  // After a fault every call gives its error, a question too.
  const auto status = cudaStreamQuery(c10::cuda::getCurrentCUDAStream(device.index()));
  (void)cudaGetLastError();
  return status == cudaSuccess || status == cudaErrorNotReady;
}

void synchronize_cuda_device(const torch::Device& device) {
  const c10::cuda::CUDAGuard guard(device);
  c10::cuda::device_synchronize();
}

std::int64_t cuda_peak_memory_bytes(const torch::Device& device) {
  const auto statistics = c10::cuda::CUDACachingAllocator::getDeviceStats(device.index());
  return statistics.allocated_bytes[0].peak;
}

std::int64_t cuda_used_memory_bytes(const torch::Device& device) {
  const auto statistics = c10::cuda::CUDACachingAllocator::getDeviceStats(device.index());
  return statistics.allocated_bytes[0].current;
}

std::int64_t cuda_available_memory_bytes(const torch::Device& device) {
  const auto statistics = c10::cuda::CUDACachingAllocator::getDeviceStats(device.index());
  return free_memory_bytes(device) + statistics.reserved_bytes[0].current -
         statistics.allocated_bytes[0].current;
}

void reset_cuda_peak_memory(const torch::Device& device) {
  c10::cuda::CUDACachingAllocator::resetPeakStats(device.index());
}

void release_cuda_unused_memory() {
  c10::cuda::CUDACachingAllocator::emptyCache();
}

}  // namespace xception
