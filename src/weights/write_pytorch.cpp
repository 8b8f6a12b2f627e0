#include <ATen/core/Dict.h>
#include <torch/csrc/jit/serialization/pickle.h>

#include "xception/core/files.h"
#include "xception/weights/export.h"

namespace xception {

void write_pytorch(const std::filesystem::path& file, const Classifier& model) {
  c10::Dict<std::string, at::Tensor> tensors;
  const auto add = [&](const auto& items) {
    for (const auto& item : items) {
      tensors.insert(item.key(), item.value().detach().to(at::kCPU).contiguous());
    }
  };
  add(model.named_parameters());
  add(model.named_buffers());
  const auto bytes = torch::jit::pickle_save(tensors);
  write_file_atomic(file, std::string(bytes.begin(), bytes.end()));
}

}  // namespace xception
