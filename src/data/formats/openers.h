#pragma once

#include "xception/data/dataset.h"

namespace xception {

[[nodiscard]] Dataset open_cifar10(const DataConfig& config);

}  // namespace xception
