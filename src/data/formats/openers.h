#pragma once

#include "xception/data/dataset.h"

namespace xception {

[[nodiscard]] Dataset open_cifar10(const DataConfig& config);
[[nodiscard]] bool is_cifar10(const std::filesystem::path& folder);
[[nodiscard]] Dataset open_cifar100(const DataConfig& config);
[[nodiscard]] bool is_cifar100(const std::filesystem::path& folder);
[[nodiscard]] Dataset open_idx(const DataConfig& config);
[[nodiscard]] bool is_idx(const std::filesystem::path& folder);
[[nodiscard]] Dataset open_shards(const DataConfig& config);
[[nodiscard]] bool is_shards(const std::filesystem::path& folder);

/// Class folders of images: `train/CLASS/...` or `CLASS/...`.
[[nodiscard]] Dataset open_folder(const DataConfig& config);
[[nodiscard]] bool is_folder(const std::filesystem::path& folder);

}  // namespace xception
