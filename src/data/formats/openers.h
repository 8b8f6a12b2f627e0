#pragma once

#include "xception/data/dataset.h"

namespace xception {

[[nodiscard]] Dataset open_cifar10(const DataConfig& config);
[[nodiscard]] bool is_cifar10(const std::filesystem::path& folder);

}  // namespace xception
