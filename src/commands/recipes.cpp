#include "xception/train/recipes.h"

#include "subcommands.h"
#include "xception/core/log.h"
#include "xception/train/run_config.h"

namespace xception {
namespace {

struct RecipesArguments {
  std::string name;
  bool json = false;
};

nlohmann::ordered_json describe_recipe(const Recipe& recipe) {
  auto config = load_config(recipe_path(recipe.name), {});
  resolve_model(config);
  return {{"name", recipe.name},
          {"model", config.model.name},
          {"image_size", config.data.image_size},
          {"epochs", config.train.epochs},
          {"batch_size", config.train.batch_size},
          {"precision", config.train.precision},
          {"optimizer", config.optimizer.name},
          {"description", config.description}};
}

void list_recipes(bool as_json) {
  auto list = nlohmann::ordered_json::array();
  for (const auto& recipe : recipes()) list.push_back(describe_recipe(recipe));
  if (as_json) {
    print_json(list);
    return;
  }
  constexpr auto kRow = "{:<29} {:<12} {:>4} {:>7} {:>6} {:<5} {:<9} {}";
  spdlog::info(kRow, "recipe", "model", "px", "epochs", "batch", "prec.", "optimizer", "for");
  for (const auto& recipe : list) {
    spdlog::info(kRow, recipe["name"].get<std::string>(), recipe["model"].get<std::string>(),
                 recipe["image_size"].get<std::int64_t>(), recipe["epochs"].get<std::int64_t>(),
                 recipe["batch_size"].get<std::int64_t>(), recipe["precision"].get<std::string>(),
                 recipe["optimizer"].get<std::string>(), recipe["description"].get<std::string>());
  }
}

/// The recipe's file as it is, to save and to change.
void show_recipe(const std::string& name) {
  std::fputs(std::string(find_recipe(name).text).c_str(), stdout);
  check_standard_output();
}

}  // namespace

void add_recipes_command(CLI::App& program, Invocation& /*invocation*/) {
  auto arguments = std::make_shared<RecipesArguments>();
  auto* command =
      program.add_subcommand("recipes", "List the training configs that come with the program");
  command->add_option("name", arguments->name, "Print this one, a config in JSON");
  command->add_flag("--json", arguments->json, "Print the list as JSON");
  command->footer("Example: xception recipes notebook-as-run > mine.json");
  command->callback([arguments] {
    if (arguments->name.empty()) {
      list_recipes(arguments->json);
    } else {
      show_recipe(arguments->name);
    }
  });
}

}  // namespace xception
