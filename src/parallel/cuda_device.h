#pragma once

#include "xception/parallel/device.h"

// What parallel/device.cpp asks of CUDA. cuda_device.cpp answers in a CUDA build,
// no_cuda_device.cpp in a build for the CPU, where none of these is ever called.
namespace xception {

DeviceInfo describe_cuda_device(const torch::Device& device);
[[nodiscard]] std::string cuda_device_identity(const torch::Device& device);
void synchronize_cuda_device(const torch::Device& device);
std::int64_t cuda_peak_memory_bytes(const torch::Device& device);

}  // namespace xception
