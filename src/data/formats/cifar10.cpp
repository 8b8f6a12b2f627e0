#include "xception/data/cifar10.h"

#include "cifar_tensors.h"
#include "openers.h"
#include "xception/core/error.h"
#include "xception/core/paths.h"

namespace xception {
bool is_cifar10(const std::filesystem::path& folder) {
  std::error_code error;
  if (std::filesystem::exists(folder / cifar10::kFolder, error)) return true;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    const auto name = at->path().filename().string();
    if (name == cifar10::kTestFile || (name.starts_with("data_batch_") && name.ends_with(".bin"))) {
      return true;
    }
  }
  return false;
}

Dataset open_cifar10(const DataConfig& config) {
  std::filesystem::path folder = path_of_text(config.dir);
  if (folder.empty()) {
    folder = "data";
    if (!std::filesystem::exists(folder / cifar10::kFolder)) {
      throw input_error("data",
                        "no data directory given and no {}/{} here; give --data DIR, or run "
                        "scripts/download_cifar10.sh, or offline: xception data synthesize --out "
                        "data",
                        folder.string(), cifar10::kFolder);
    }
  }
  const auto files = read_cifar10(folder);
  return {.images = in_memory(cifar_tensors(files.train.images, files.train.labels),
                              cifar_tensors(files.test.images, files.test.labels)),
          .class_names = files.class_names,
          .name = files.original                         ? files.name
                  : files.name == cifar10::kOfficialName ? cifar10::kOtherLabel
                                                         : files.name + ", not the original files",
          .original = files.original,
          .checksum = files.checksum,
          .folder = folder};
}

}  // namespace xception
