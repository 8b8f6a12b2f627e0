#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace xception {

/// A device as `doctor` and the start-up table show it.
struct DeviceInfo {
  torch::Device device = torch::kCPU;
  std::string name;                     ///< `NVIDIA H100 80GB HBM3`, `AMD EPYC 9004, 2 threads`
  std::int64_t memory_bytes = 0;        ///< all of it
  std::string compute_capability = {};  ///< of a GPU: `9.0`
};

/// Whether this build can use CUDA and a driver and GPU are there.
[[nodiscard]] bool cuda_available();
/// GPUs that this process sees; 0 without CUDA.
[[nodiscard]] std::int64_t cuda_device_count();

/// What `--device` asks for.
struct DeviceChoice {
  enum class Kind : std::uint8_t {
    automatic,  ///< `auto`: a GPU where there is one, else the CPU
    all,        ///< every GPU, else the CPU
    cpu,
    cuda,  ///< a GPU, whichever
    gpus,  ///< those named: `cuda:1`, `cuda:0,cuda:1`
  };

  Kind kind = Kind::automatic;
  std::vector<int> gpus = {};  ///< their numbers, each once; of the kind `gpus` alone

  [[nodiscard]] bool one_gpu() const { return kind == Kind::gpus && gpus.size() == 1; }
  [[nodiscard]] bool several_gpus() const { return gpus.size() > 1; }
};

/// What a user may write for `--device`.
inline constexpr const char* kDeviceHelp = "auto, cpu, cuda, cuda:N, cuda:0,cuda:1 or all";

/// Errors (input): another word, a GPU named twice.
[[nodiscard]] DeviceChoice parse_device_choice(const std::string& text);
/// `cuda:N`
[[nodiscard]] std::string gpu_name(std::int64_t number);

/// The one device of `auto`, `cpu`, `cuda` or `cuda:N`; a GPU without a number is the first. Errors
/// (input): another word; CUDA asked for and absent, with the reason; no such GPU.
[[nodiscard]] torch::Device parse_device(const std::string& name);

/// Opens no context on a GPU, which would take half a gigabyte of its memory.
[[nodiscard]] DeviceInfo describe_device(const torch::Device& device);

/// The version of NVIDIA's driver, as far as it can be had without a GPU's context:
/// `580.159.04, CUDA 13.0`; empty without one.
[[nodiscard]] std::string gpu_driver();

/// What tells two GPUs apart on one machine (the UUID in hexadecimal digits); empty for the CPU.
[[nodiscard]] std::string device_identity(const torch::Device& device);

/// Waits until the device has done all that was asked of it.
void synchronize(const torch::Device& device);

/// Whether a device can still be used; doesn't wait for what it has to do.
[[nodiscard]] bool answers(const torch::Device& device);

/// Most device memory that tensors held since the start, in bytes; on the CPU the largest resident
/// size of the process.
[[nodiscard]] std::int64_t peak_memory_bytes(const torch::Device& device);

/// Name of the processor and the vector extensions that LibTorch uses there.
[[nodiscard]] std::string processor_name();

/// Those of the processor's instruction sets that decide how fast training is: `avx2`, `avx512f`,
/// `avx512_bf16`, `amx_bf16`, ...
[[nodiscard]] std::vector<std::string> processor_features();

}  // namespace xception
