#include "xception/parallel/energy.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <string>

#include "cuda_device.h"

namespace xception {
namespace {

/// The four functions of NVML that this needs. Its library comes with the driver, not with the
/// toolkit, so it is looked for when the program runs; every function returns 0 on success.
struct Nvml {
  using Handle = void*;
  int (*init)() = nullptr;
  int (*handle_by_uuid)(const char* uuid, Handle* device) = nullptr;
  int (*total_energy)(Handle device, unsigned long long* millijoules) = nullptr;

  Nvml() {
    void* library = ::dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return;
    const auto find = [&](auto& function, const char* name) {
      function =
          reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(library, name));
    };
    find(init, "nvmlInit_v2");
    find(handle_by_uuid, "nvmlDeviceGetHandleByUUID");
    find(total_energy, "nvmlDeviceGetTotalEnergyConsumption");
    usable = init != nullptr && handle_by_uuid != nullptr && total_energy != nullptr && init() == 0;
  }
  bool usable = false;
};

/// 32 hexadecimal digits -> GPU-12345678-1234-1234-1234-123456789abc
std::string nvml_name(const std::string& digits) {
  return fmt::format("GPU-{}-{}-{}-{}-{}", digits.substr(0, 8), digits.substr(8, 4),
                     digits.substr(12, 4), digits.substr(16, 4), digits.substr(20));
}

}  // namespace

std::optional<double> energy_joules(const torch::Device& device) {
  if (!device.is_cuda()) return std::nullopt;
  static const Nvml nvml;
  if (!nvml.usable) return std::nullopt;
  Nvml::Handle handle = nullptr;
  unsigned long long millijoules = 0;
  if (nvml.handle_by_uuid(nvml_name(cuda_device_identity(device)).c_str(), &handle) != 0 ||
      nvml.total_energy(handle, &millijoules) != 0) {
    return std::nullopt;
  }
  return static_cast<double>(millijoules) * 1e-3;
}

}  // namespace xception
