// CIFAR-10's and CIFAR-100's files of any bytes: an error, or labels in their range.
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "data/cifar100.h"
#include "xception/core/error.h"
#include "xception/data/cifar10.h"

namespace {

namespace fs = std::filesystem;

void write(const fs::path& file, std::string_view bytes) {
  std::ofstream(file, std::ios::binary).write(bytes.data(), std::ssize(bytes));
}

const fs::path& folder() {
  static const fs::path made = [] {
    auto name = (fs::temp_directory_path() / "xception-fuzz-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    return fs::path(name);
  }();
  return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    for (const auto label : xception::parse_cifar100(bytes, 10, "fuzz").labels) {
      if (label >= xception::cifar100::kFineClasses) std::abort();
    }
  } catch (const xception::Error&) {
  }
  // The first byte says how much of the rest is class names.
  const auto names = size == 0 ? 0 : std::min<std::size_t>(data[0], size - 1);
  const auto rest = bytes.substr(size == 0 ? 0 : 1);
  write(folder() / "batches.meta.txt", rest.substr(0, names));
  write(folder() / "data_batch_1.bin", rest.substr(names));
  write(folder() / "test_batch.bin", rest.substr(names));
  try {
    for (const auto label : xception::read_cifar10(folder()).train.labels) {
      if (label >= xception::cifar10::kClasses) std::abort();
    }
  } catch (const xception::Error&) {
  }
  return 0;
}
