// torch.save's two containers, up to the bytes of every storage.
#include "fuzz/memory_file.h"
#include "weights/torch_checkpoint.h"
#include "weights/zip_archive.h"
#include "xception/core/error.h"

namespace {

void read_all(const xception::TorchCheckpoint& checkpoint) {
  for (const auto& [key, storage] : checkpoint.storages) {
    std::string bytes(storage.bytes, '\0');
    checkpoint.read(key, bytes.data());
  }
  for (const auto& tensor : checkpoint.tensors) {
    // The last value of each, as as_strided would read it.
    const auto& storage = checkpoint.storages.at(tensor.storage);
    std::int64_t last = tensor.offset;
    bool empty = false;
    for (std::size_t i = 0; i < tensor.sizes.size(); ++i) {
      empty = empty || tensor.sizes[i] == 0;
      if (tensor.sizes[i] > 0) last += (tensor.sizes[i] - 1) * tensor.strides[i];
    }
    if (!empty && static_cast<std::uint64_t>(last) >= storage.values) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const xception::MemoryFile memory;
  memory.fill(data, size);
  try {
    const xception::InputFile file(memory.path(), "fuzz");
    read_all(xception::is_zip(file) ? xception::read_torch_zip(file)
                                    : xception::read_old_torch_file(file));
  } catch (const xception::Error&) {
  }
  return 0;
}
