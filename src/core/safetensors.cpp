#include "xception/core/safetensors.h"

#include <ATen/ops/empty.h>
#include <c10/core/ScalarType.h>

#include <array>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "xception/core/error.h"
#include "xception/core/files.h"
#include "xception/core/json.h"

namespace xception {
namespace {

constexpr std::size_t kLengthBytes = 8;

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

/// The bytes of one tensor of the header.
struct Entry {
  at::ScalarType type;
  std::vector<std::int64_t> shape;
  std::size_t begin;
  std::size_t end;
};

/// Checks one header entry against the size of the data that follows the header.
Entry read_entry(const std::string& where, const std::string& name, const nlohmann::json& value,
                 std::size_t data_bytes) {
  const auto bad = [&](std::string_view why) {
    return input_error("core", "{}: tensor {}: {}; the file is damaged, use another copy", where,
                       name, why);
  };
  Entry entry{};
  try {
    const auto dtype = value.at("dtype").get<std::string>();
    bool known = false;
    for (const auto& [text, type] : dtypes()) {
      if (text == dtype) {
        entry.type = type;
        known = true;
      }
    }
    if (!known) throw bad(fmt::format("dtype {} is not supported", dtype));
    entry.shape = value.at("shape").get<std::vector<std::int64_t>>();
    const auto& offsets = value.at("data_offsets");
    if (offsets.size() != 2) throw bad("expected two data_offsets");
    entry.begin = offsets.at(0).get<std::size_t>();
    entry.end = offsets.at(1).get<std::size_t>();
  } catch (const nlohmann::json::exception&) {
    throw bad("malformed header entry");
  }
  std::size_t bytes = c10::elementSize(entry.type);
  for (const auto extent : entry.shape) {
    if (extent < 0) throw bad("negative extent");
    const auto size = static_cast<std::size_t>(extent);
    if (size != 0 && bytes > std::numeric_limits<std::size_t>::max() / size) {
      throw bad("too large");
    }
    bytes *= size;
  }
  if (entry.begin > entry.end || entry.end > data_bytes || entry.end - entry.begin != bytes) {
    throw bad(fmt::format("bytes {} to {} of {}, expected {} bytes", entry.begin, entry.end,
                          data_bytes, bytes));
  }
  return entry;
}

std::string_view tensor_bytes(const at::Tensor& contiguous) {
  return {static_cast<const char*>(contiguous.const_data_ptr()), contiguous.nbytes()};
}

at::Tensor on_cpu(const at::Tensor& tensor) {
  return tensor.detach().to(at::kCPU).contiguous();
}

}  // namespace

std::string save_safetensors(const std::filesystem::path& file, const TensorMap& tensors,
                             const TextMap& metadata) {
  auto header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::vector<at::Tensor> data;
  std::size_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    data.push_back(on_cpu(tensor));
    const std::size_t end = offset + data.back().nbytes();
    header[name] = {{"dtype", dtype_name(tensor.scalar_type())},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {offset, end}}};
    offset = end;
  }
  // Names may be a file system's, whose bytes need not be UTF-8.
  std::string text = header.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  text.append((kLengthBytes - text.size() % kLengthBytes) % kLengthBytes, ' ');
  std::string content;
  content.reserve(kLengthBytes + text.size() + offset);
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    content.push_back(static_cast<char>((text.size() >> (8 * i)) & 0xFF));
  }
  content += text;
  for (const auto& tensor : data) content += tensor_bytes(tensor);
  write_file_atomic(file, content);
  return sha256(content);
}

TensorMap load_safetensors(const std::filesystem::path& file, const std::string& expected_sha256,
                           TextMap* metadata) {
  const std::string content = read_file(file, "core");
  const std::string where = file.string();
  if (!expected_sha256.empty()) {
    if (const auto found = sha256(content); found != expected_sha256) {
      throw input_error("core",
                        "{}: SHA-256 is {}..., expected {}...: the file was altered or cut short; "
                        "use another checkpoint",
                        where, found.substr(0, 12), expected_sha256.substr(0, 12));
    }
  }
  if (content.size() < kLengthBytes) {
    throw input_error("core", "{}: {} bytes, too short for safetensors", where, content.size());
  }
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    length |= static_cast<std::uint64_t>(static_cast<unsigned char>(content[i])) << (8 * i);
  }
  if (length > content.size() - kLengthBytes) {
    throw input_error("core", "{}: header of {} bytes in a file of {}: cut short or no safetensors",
                      where, length, content.size());
  }
  const auto header =
      parse_json(std::string_view(content).substr(kLengthBytes, length), "core", where);
  if (!header.is_object()) throw input_error("core", "{}: the header is no object", where);
  const std::size_t start = kLengthBytes + length;
  TensorMap tensors;
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") {
      for (const auto& [key, text] : value.items()) {
        if (metadata != nullptr && text.is_string()) (*metadata)[key] = text.get<std::string>();
      }
      continue;
    }
    const Entry entry = read_entry(where, name, value, content.size() - start);
    auto tensor = at::empty(entry.shape, at::TensorOptions().dtype(entry.type));
    if (entry.end > entry.begin) {
      std::memcpy(tensor.mutable_data_ptr(), content.data() + start + entry.begin,
                  entry.end - entry.begin);
    }
    tensors.emplace(name, std::move(tensor));
  }
  return tensors;
}

std::string tensor_sha256(const at::Tensor& tensor) {
  return sha256(tensor_bytes(on_cpu(tensor)));
}

}  // namespace xception
