#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace xception {

/// A training config that comes with the program. It is compiled in from `configs/recipes/`, so
/// that it is there wherever the program is installed.
struct Recipe {
  std::string_view name;  ///< the file's, without `.json`
  std::string_view text;  ///< the file: a config in JSON
};

/// All of them, by name.
[[nodiscard]] const std::vector<Recipe>& recipes();

/// The recipe of a name. Error (input): unknown name; proposes the nearest.
[[nodiscard]] const Recipe& find_recipe(std::string_view name);

/// How a recipe is named where a config file may be: `recipe:NAME`.
[[nodiscard]] std::filesystem::path recipe_path(std::string_view name);

/// The recipe that a config's path means, or nullptr for a file. Error (input): unknown name.
[[nodiscard]] const Recipe* recipe_of(const std::filesystem::path& config);

/// What a run of a config is called: the file's name without `.json`, or the recipe's.
[[nodiscard]] std::string config_name(const std::filesystem::path& config);

}  // namespace xception
