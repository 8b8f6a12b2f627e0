#pragma once

#include <array>
#include <filesystem>
#include <vector>

namespace xception {

/// The names of the classes, one a line, beside the shards or the folders that have them.
inline constexpr const char* kShardClassesFile = "classes.txt";

/// The tar files of a folder by the subset that they belong to (training, validation, test), each
/// list by name: those in its folders train, val (valid, validation) and test; or if there are
/// none, those in itself that have such a word in their names, as `imagenet-train-000000.tar`.
[[nodiscard]] std::array<std::vector<std::filesystem::path>, 3> find_shards(
    const std::filesystem::path& folder);

}  // namespace xception
