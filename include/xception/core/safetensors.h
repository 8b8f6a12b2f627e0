#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>

namespace xception {

/// Tensors by name, in the order of their names.
using TensorMap = std::map<std::string, at::Tensor>;
/// The format's `__metadata__`: free text by name.
using TextMap = std::map<std::string, std::string>;

/// Writes tensors in the safetensors format (https://github.com/huggingface/safetensors): an 8-byte
/// little-endian header length, a JSON header, raw data. Tensors of any device and memory format
/// are written as contiguous CPU tensors, one after another. Returns the bytes' SHA-256. Atomic.
/// Errors (run).
std::string save_safetensors(const std::filesystem::path& file, const TensorMap& tensors,
                             const TextMap& metadata = {});

/// Reads what save_safetensors, or any other writer of the format, wrote; on the CPU. Errors
/// (input): missing, truncated, malformed header, offsets that overlap, leave a hole or leave the
/// file, a dtype that this program doesn't use; with a non-empty `expected_sha256`, content that
/// was altered. `metadata`, where given, becomes what the file has of it.
[[nodiscard]] TensorMap load_safetensors(const std::filesystem::path& file,
                                         const std::string& expected_sha256 = "",
                                         TextMap* metadata = nullptr);

/// SHA-256 of a tensor's contiguous bytes.
[[nodiscard]] std::string tensor_sha256(const at::Tensor& tensor);

}  // namespace xception
