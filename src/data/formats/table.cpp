#include "openers.h"
#include "xception/core/error.h"

namespace xception {

const std::vector<DatasetFormat>& dataset_formats() {
  static const std::vector<DatasetFormat> formats = {
      {"cifar10", open_cifar10},
  };
  return formats;
}

Dataset load_dataset(const DataConfig& config, const std::vector<DatasetFormat>& formats) {
  std::vector<std::string> names;
  for (const auto& format : formats) {
    if (format.name == config.format) return format.open(config);
    names.push_back(format.name);
  }
  throw input_error("config", "data.format: found \"{}\", expected one of {}", config.format,
                    fmt::join(names, ", "));
}

}  // namespace xception
