#include "../cifar100.h"

#include "cifar_tensors.h"
#include "openers.h"
#include "xception/core/paths.h"

namespace xception {

bool is_cifar100(const std::filesystem::path& folder) {
  std::error_code error;
  const auto has = [&](const char* name) { return std::filesystem::exists(folder / name, error); };
  return has(cifar100::kFolder) || (has(cifar100::kTrainFile) && has(cifar100::kNamesFile));
}

Dataset open_cifar100(const DataConfig& config) {
  const auto files =
      read_cifar100(config.dir.empty() ? std::filesystem::path("data") : path_of_text(config.dir));
  const auto set = [](const Cifar100Records& records) {
    return cifar_tensors(records.images, records.labels);
  };
  return {.images = in_memory(set(files.train), set(files.test)),
          .class_names = files.class_names,
          .name = files.original ? "CIFAR-100" : "CIFAR-100 layout, not the original files",
          .original = files.original,
          .checksum = files.checksum,
          .folder = files.folder};
}

}  // namespace xception
