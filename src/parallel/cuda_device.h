#pragma once

#include "xception/parallel/device.h"

// What device.cpp and device_memory.cpp ask of CUDA. cuda_device.cpp answers in a CUDA build,
// no_cuda_device.cpp in a build for the CPU, where none of these is ever called.
namespace xception {

DeviceInfo describe_cuda_device(const torch::Device& device);
/// The newest CUDA that the driver serves, as the runtime counts: 13000; 0 without a driver.
[[nodiscard]] int cuda_driver_version();
[[nodiscard]] std::string cuda_device_identity(const torch::Device& device);
[[nodiscard]] bool cuda_device_answers(const torch::Device& device);
void synchronize_cuda_device(const torch::Device& device);
std::int64_t cuda_peak_memory_bytes(const torch::Device& device);
std::int64_t cuda_used_memory_bytes(const torch::Device& device);
std::int64_t cuda_available_memory_bytes(const torch::Device& device);
void reset_cuda_peak_memory(const torch::Device& device);
void release_cuda_unused_memory();

}  // namespace xception
