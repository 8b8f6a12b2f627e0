#include "shard_names.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace xception {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::pair<std::string_view, std::size_t>, 7> kWords{{
    {"train", 0},
    {"training", 0},
    {"val", 1},
    {"valid", 1},
    {"validation", 1},
    {"test", 2},
    {"testing", 2},
}};

std::optional<std::size_t> subset_of_word(std::string_view word) {
  for (const auto& [known, subset] : kWords) {
    if (word == known) return subset;
  }
  return std::nullopt;
}

/// By the last such word between characters that aren't letters.
std::optional<std::size_t> subset_of_name(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  std::optional<std::size_t> subset;
  for (std::size_t at = 0; at < name.size();) {
    auto end = at;
    while (end < name.size() && letter(name[end])) ++end;
    if (const auto found = subset_of_word(name.substr(at, end - at))) subset = found;
    at = end + 1;
  }
  return subset;
}

std::vector<fs::path> tar_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const auto name = at->path().filename().string();
    if (name.ends_with(".tar") && !name.starts_with('.')) files.push_back(at->path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

std::array<std::vector<fs::path>, 3> find_shards(const fs::path& folder) {
  std::array<std::vector<fs::path>, 3> found;
  for (const auto& [word, subset] : kWords) {
    for (auto& file : tar_files(folder / word)) found[subset].push_back(std::move(file));
  }
  const auto empty = [](const auto& list) { return list.empty(); };
  if (!std::all_of(found.begin(), found.end(), empty)) return found;
  for (auto& file : tar_files(folder)) {
    if (const auto subset = subset_of_name(file.stem().string())) found[*subset].push_back(file);
  }
  return found;
}

}  // namespace xception
