#pragma once

#include <torch/types.h>

#include <functional>
#include <string_view>

namespace xception {

/// What an error of LibTorch, CUDA or one of its libraries comes from.
enum class FailureCause {
  memory,        ///< the device's memory doesn't suffice; a smaller batch may
  device_fault,  ///< is_device_fault
  other,
};

/// Questions to a device that an error's text leaves open.
struct DeviceProbe {
  std::function<bool()> works;            ///< whether it still does what it is asked
  std::function<bool()> short_of_memory;  ///< whether little is free
};

/// From the text, all lines of it, and where that may mean several things from the device: cuDNN
/// says that it was unable to find an engine, and cuBLAS and cuDNN that an execution failed, both
/// where memory is short and after a fault of the GPU. Doesn't wait for what the device has to do.
[[nodiscard]] FailureCause cause_of(std::string_view text, const DeviceProbe& probe);

/// The same of a real device; a CPU isn't asked.
[[nodiscard]] FailureCause cause_of(std::string_view text, const torch::Device& device);

}  // namespace xception
