#include "xception/weights/weight_file.h"

#include <ATen/ops/empty.h>
#include <c10/core/ScalarType.h>

#include <map>
#include <tuple>
#include <utility>

#include "torch_checkpoint.h"
#include "xception/core/error.h"
#include "xception/core/input_file.h"
#include "xception/core/readable.h"
#include "zip_archive.h"
#ifdef XCEPTION_WITH_HDF5
#include "in_child.h"
#include "keras_file.h"
#endif

namespace xception {
namespace {

at::ScalarType scalar_type(const std::string& dtype) {
  static const std::map<std::string, at::ScalarType> table = {
      {"F64", at::kDouble}, {"F32", at::kFloat}, {"F16", at::kHalf},  {"BF16", at::kBFloat16},
      {"I64", at::kLong},   {"I32", at::kInt},   {"I16", at::kShort}, {"I8", at::kChar},
      {"U8", at::kByte},    {"BOOL", at::kBool},
  };
  return table.at(dtype);
}

/// The tensors of a checkpoint, storage by storage, so that only one is there besides them.
TensorMap read_tensors(const TorchCheckpoint& checkpoint) {
  std::map<std::string, std::vector<const TorchTensor*>> views;
  for (const auto& tensor : checkpoint.tensors) views[tensor.storage].push_back(&tensor);
  TensorMap tensors;
  for (const auto& [key, of_storage] : views) {
    const auto& storage = checkpoint.storages.at(key);
    const auto values = at::empty({static_cast<std::int64_t>(storage.values)},
                                  at::TensorOptions().dtype(scalar_type(storage.dtype)));
    checkpoint.read(key, values.mutable_data_ptr());
    using Place = std::tuple<std::int64_t, std::vector<std::int64_t>, std::vector<std::int64_t>>;
    std::map<Place, at::Tensor> seen;
    for (const auto* tensor : of_storage) {
      auto& made = seen[{tensor->offset, tensor->sizes, tensor->strides}];
      if (!made.defined()) {
        made = values.as_strided(tensor->sizes, tensor->strides, tensor->offset);
        // A part of a storage would keep all of it.
        made = made.numel() == values.numel() ? made.contiguous()
                                              : made.clone(at::MemoryFormat::Contiguous);
      }
      tensors.emplace(tensor->name, made);
    }
  }
  return tensors;
}

WeightFile read_torch(const std::filesystem::path& path, const TorchCheckpoint& checkpoint) {
  WeightFile weights{.file = path, .format = checkpoint.format};
  weights.tensors = read_tensors(checkpoint);
  for (const auto& tensor : checkpoint.tensors) weights.order.push_back(tensor.name);
  weights.notes = checkpoint.notes;
  return weights;
}

WeightFile read_safetensors(const std::filesystem::path& path) {
  WeightFile weights{.file = path, .format = "safetensors"};
  weights.tensors = load_safetensors(path, "", &weights.metadata);
  for (const auto& [name, tensor] : weights.tensors) weights.order.push_back(name);
  return weights;
}

#ifdef XCEPTION_WITH_HDF5
std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> found;
  for (std::size_t begin = 0, end = 0; (end = text.find('\n', begin)) != text.npos;
       begin = end + 1) {
    found.push_back(text.substr(begin, end - begin));
  }
  return found;
}

WeightFile read_keras(const std::filesystem::path& path, const InputFile& file) {
  // Twice what its tensors may take, and libhdf5's own.
  constexpr std::uint64_t kMemoryTimes = 32;
  constexpr std::uint64_t kOwnMemory = 256 << 20;
  const InChild child(file, kMemoryTimes * file.size() + kOwnMemory,
                      [&file](int output) { write_keras_weights(file, output); });
  auto weights = read_safetensors(child.path());
  weights.file = path;
  weights.format = weights.metadata["format"];
  weights.order = lines(weights.metadata["order"]);
  weights.metadata.clear();
  return weights;
}
#else
WeightFile read_keras(const std::filesystem::path&, const InputFile& file) {
  throw input_error("weights",
                    "{}: an HDF5 file (Keras), and this program was built without HDF5; install "
                    "libhdf5-dev and build it again",
                    file.name());
}
#endif

/// Of a `.keras` file, a zip archive.
constexpr auto kKerasEntry = "model.weights.h5";

/// Reads the weights of a `.keras` file, by way of a nameless file in memory.
WeightFile read_keras_archive(const std::filesystem::path& path, const ZipArchive& archive) {
  std::string bytes(archive.entries().at(kKerasEntry).bytes, '\0');
  archive.read(kKerasEntry, bytes.data());
  return read_keras(path, InputFile::in_memory(bytes, path.string(), "weights"));
}

bool begins_as_hdf5(const InputFile& file) {
  return file.size() >= 4 && file.read(0, 4) == "\x89HDF";
}

bool begins_as_safetensors(const InputFile& file) {
  constexpr std::uint64_t kLengthBytes = 8;
  return file.size() > kLengthBytes && file.read(kLengthBytes, 1) == "{";
}

}  // namespace

WeightFile read_weights(const std::filesystem::path& path) {
  const InputFile file(path, "weights");
  if (is_zip(file)) {
    const ZipArchive archive(file);
    if (archive.entries().contains(kKerasEntry)) return read_keras_archive(path, archive);
    return read_torch(path, read_torch_zip(file));
  }
  if (is_old_torch_file(file)) return read_torch(path, read_old_torch_file(file));
  if (begins_as_safetensors(file)) return read_safetensors(path);
  if (begins_as_hdf5(file)) return read_keras(path, file);
  throw input_error("weights",
                    "{}: of no format that is known here, expected safetensors, torch.save's or "
                    "Keras's HDF5; it may be cut short",
                    file.name());
}

}  // namespace xception
