#include "xception/train/recipes.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "recipe_texts.h"
#include "xception/config/keys.h"
#include "xception/core/error.h"

namespace xception {
namespace {

constexpr std::string_view kPrefix = "recipe:";

}  // namespace

const std::vector<Recipe>& recipes() {
  static const std::vector<Recipe> all = [] {
    std::vector<Recipe> list(std::begin(kRecipeTexts), std::end(kRecipeTexts));
    std::ranges::sort(list, {}, &Recipe::name);
    return list;
  }();
  return all;
}

const Recipe& find_recipe(std::string_view name) {
  std::vector<std::string> names;
  for (const auto& recipe : recipes()) {
    if (recipe.name == name) return recipe;
    names.emplace_back(recipe.name);
  }
  const auto near = nearest_name(name, names);
  throw input_error("config", "{}: unknown recipe; expected one of {}{}", name,
                    fmt::join(names, ", "),
                    near.empty() ? "" : fmt::format("; did you mean {}?", near));
}

std::filesystem::path recipe_path(std::string_view name) {
  return std::string(kPrefix) + std::string(name);
}

const Recipe* recipe_of(const std::filesystem::path& config) {
  const auto& text = config.native();
  return text.starts_with(kPrefix) ? &find_recipe(text.substr(kPrefix.size())) : nullptr;
}

std::string config_name(const std::filesystem::path& config) {
  const auto* recipe = recipe_of(config);
  return recipe != nullptr ? std::string(recipe->name) : config.stem().string();
}

}  // namespace xception
