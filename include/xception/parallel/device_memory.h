#pragma once

#include <torch/types.h>

#include <cstdint>

namespace xception {

// Memory as a measurement needs it. On a GPU: what tensors hold there. On the CPU: what of the
// process is resident, freed blocks that its allocator keeps included; so release_unused_memory
// comes first.

/// Bytes in use now.
[[nodiscard]] std::int64_t used_memory_bytes(const torch::Device& device);

/// Forgets the peak so far. Returns whether the system allows that: on the CPU it takes a writable
/// /proc/self/clear_refs.
bool reset_peak_memory(const torch::Device& device);

/// Most bytes that were in use since the last reset, or the start.
[[nodiscard]] std::int64_t recent_peak_memory_bytes(const torch::Device& device);

/// Bytes that could still be used: free on the GPU and kept unused by the allocator; on the CPU
/// what the kernel calls available, and the limits of the control groups leave.
[[nodiscard]] std::int64_t available_memory_bytes(const torch::Device& device);

/// Gives back what the allocator keeps of freed blocks.
void release_unused_memory(const torch::Device& device);

}  // namespace xception
