#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "xception/core/input_file.h"

namespace xception {

/// The dtypes of storages, as safetensors names them, with their bytes a value.
[[nodiscard]] const std::map<std::string, std::uint64_t>& storage_dtypes();

/// The values that some tensors of a checkpoint share.
struct TorchStorage {
  std::string dtype;  ///< as safetensors names it
  std::uint64_t values = 0;
  std::uint64_t bytes = 0;
};

/// A tensor: a view of a storage, in which it lies wholly.
struct TorchTensor {
  std::string name;
  std::string storage;  ///< its key
  std::int64_t offset = 0;
  std::vector<std::int64_t> sizes, strides;  ///< in values
};

/// What torch.save wrote, without its values.
struct TorchCheckpoint {
  std::string format = {};
  std::vector<TorchTensor> tensors = {};  ///< in the checkpoint's order
  std::map<std::string, TorchStorage> storages = {};
  std::vector<std::string> notes = {};  ///< what was unwrapped or left out, a sentence each
  /// Reads a storage's bytes. Errors (input).
  std::function<void(const std::string& key, void* to)> read = {};
};

/// Whether a file begins as torch.save's did before 1.6.
[[nodiscard]] bool is_old_torch_file(const InputFile& file);

/// Reads what torch.save wrote into a zip archive. `file` must outlive the result.
/// Errors (input): damaged; it names anything but tensors and plain values; no tensors in it.
[[nodiscard]] TorchCheckpoint read_torch_zip(const InputFile& file);

/// The same of a file as PyTorch wrote them before 1.6: pickles, then storages.
[[nodiscard]] TorchCheckpoint read_old_torch_file(const InputFile& file);

}  // namespace xception
