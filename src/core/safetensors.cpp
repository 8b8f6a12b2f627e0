#include "xception/core/safetensors.h"

#include <ATen/ops/empty.h>
#include <c10/core/ScalarType.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "safetensors_header.h"
#include "xception/core/error.h"
#include "xception/core/files.h"

namespace xception {
namespace {

constexpr std::size_t kAlignment = 8;

const std::vector<std::pair<std::string, at::ScalarType>>& dtypes() {
  static const std::vector<std::pair<std::string, at::ScalarType>> table = {
      {"F64", at::kDouble}, {"F32", at::kFloat}, {"F16", at::kHalf},  {"BF16", at::kBFloat16},
      {"I64", at::kLong},   {"I32", at::kInt},   {"I16", at::kShort}, {"I8", at::kChar},
      {"U8", at::kByte},    {"BOOL", at::kBool},
  };
  return table;
}

std::string dtype_name(at::ScalarType type) {
  for (const auto& [name, candidate] : dtypes()) {
    if (candidate == type) return name;
  }
  throw run_error("core", "safetensors has no dtype for {}", c10::toString(type));
}

at::ScalarType dtype_of(const std::string& name) {
  for (const auto& [candidate, type] : dtypes()) {
    if (candidate == name) return type;
  }
  throw run_error("core", "no dtype for {}", name);
}

std::string_view tensor_bytes(const at::Tensor& contiguous) {
  return {static_cast<const char*>(contiguous.const_data_ptr()), contiguous.nbytes()};
}

at::Tensor on_cpu(const at::Tensor& tensor) {
  return tensor.detach().to(at::kCPU).contiguous();
}

/// Reads all tensors. sum, where given: of the file's bytes.
TensorMap read_tensors(const InputFile& file, Sha256* sum, TextMap* metadata) {
  auto header = read_safetensors_header(file);
  if (sum != nullptr) sum->update(header.bytes);
  if (metadata != nullptr) metadata->merge(header.metadata);
  TensorMap tensors;
  for (const auto& entry : header.entries) {
    auto tensor = at::empty(entry.shape, at::TensorOptions().dtype(dtype_of(entry.dtype)));
    if (entry.end > entry.begin) {
      file.read(entry.begin, tensor.mutable_data_ptr(), entry.end - entry.begin);
      if (sum != nullptr) sum->update(tensor_bytes(tensor));
    }
    tensors.emplace(entry.name, std::move(tensor));
  }
  return tensors;
}

std::string sha256_of_file(const InputFile& file) {
  constexpr std::uint64_t kPart = 1 << 20;
  Sha256 sum;
  for (std::uint64_t at = 0; at < file.size(); at += kPart) {
    sum.update(file.read(at, std::min(kPart, file.size() - at)));
  }
  return sum.digest();
}

}  // namespace

std::string save_safetensors(const std::filesystem::path& file, const TensorMap& tensors,
                             const TextMap& metadata) {
  auto header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::size_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const std::size_t end =
        offset + static_cast<std::size_t>(tensor.numel()) * tensor.element_size();
    header[name] = {{"dtype", dtype_name(tensor.scalar_type())},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {offset, end}}};
    offset = end;
  }
  // Names may be a file system's, whose bytes need not be UTF-8.
  std::string text = header.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  text.append((kAlignment - text.size() % kAlignment) % kAlignment, ' ');
  std::string length;
  for (std::size_t i = 0; i < kAlignment; ++i) {
    length.push_back(static_cast<char>((text.size() >> (8 * i)) & 0xFF));
  }
  AtomicFile output(file);
  Sha256 sum;
  const auto write = [&](std::string_view bytes) {
    output.write(bytes);
    sum.update(bytes);
  };
  write(length);
  write(text);
  for (const auto& [name, tensor] : tensors) write(tensor_bytes(on_cpu(tensor)));
  output.commit();
  return sum.digest();
}

TensorMap load_safetensors(const std::filesystem::path& file, const std::string& expected_sha256,
                           TextMap* metadata) {
  const InputFile input(file, "core");
  if (expected_sha256.empty()) return read_tensors(input, nullptr, metadata);
  const auto check = [&](const std::string& found) {
    if (found == expected_sha256) return;
    throw input_error("core",
                      "{}: SHA-256 is {}..., expected {}...: the file was altered or cut short; "
                      "use another checkpoint",
                      input.name(), found.substr(0, 12), expected_sha256.substr(0, 12));
  };
  Sha256 sum;
  TensorMap tensors;
  try {
    tensors = read_tensors(input, &sum, metadata);
  } catch (const Error&) {
    check(sha256_of_file(input));  // an altered file says so, not what the change led to
    throw;
  }
  check(sum.digest());
  return tensors;
}

std::string tensor_sha256(const at::Tensor& tensor) {
  return sha256(tensor_bytes(on_cpu(tensor)));
}

}  // namespace xception
