#include "openers.h"
#include "xception/core/error.h"
#include "xception/core/paths.h"

namespace xception {
namespace {

constexpr const char* kAuto = "auto";

const DatasetFormat& find_format(const std::vector<DatasetFormat>& formats,
                                 const std::string& name) {
  std::vector<std::string> names = {kAuto};
  for (const auto& format : formats) {
    if (format.name == name) return format;
    names.push_back(format.name);
  }
  throw input_error("config", "data.format: found \"{}\", expected one of {}", name,
                    fmt::join(names, ", "));
}

const DatasetFormat& recognize_format(const std::vector<DatasetFormat>& formats,
                                      const std::string& dir) {
  const auto folder = dir.empty() ? std::filesystem::path("data") : path_of_text(dir);
  for (const auto& format : formats) {
    if (format.recognizes && format.recognizes(folder)) return format;
  }
  std::error_code error;
  if (dir.empty() || !std::filesystem::is_directory(folder, error)) {
    return formats.front();  // whose opener says what is missing
  }
  std::vector<std::string> known;
  for (const auto& format : formats) {
    known.push_back(fmt::format("{} ({})", format.name, format.description));
  }
  throw input_error("data",
                    "{}: found no data set that is recognized, expected one of {}; choose another "
                    "folder, or name its layout with data.format",
                    folder.string(), fmt::join(known, "; "));
}

}  // namespace

const std::vector<DatasetFormat>& dataset_formats() {
  static const std::vector<DatasetFormat> formats = {
      {"cifar10", "data_batch_1.bin and so on, test_batch.bin", open_cifar10, is_cifar10},
      {"cifar100", "train.bin, test.bin, fine_label_names.txt", open_cifar100, is_cifar100},
      {"idx", "train-images-idx3-ubyte and so on, as MNIST's", open_idx, is_idx},
      {"shards", "tar files in train/, val/, test/, as WebDataset's", open_shards, is_shards},
      // Last: it takes any folder of folders that hold images.
      {"folder", "a folder of images for each class, in train, val and test or directly",
       open_folder, is_folder},
  };
  return formats;
}

Dataset load_dataset(const DataConfig& config, const std::vector<DatasetFormat>& formats) {
  const auto& format = config.format == kAuto ? recognize_format(formats, config.dir)
                                              : find_format(formats, config.format);
  auto dataset = format.open(config);
  dataset.format = format.name;
  return dataset;
}

}  // namespace xception
