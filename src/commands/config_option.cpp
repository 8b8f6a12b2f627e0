#include "config_option.h"

#include "xception/train/recipes.h"

namespace xception {

void add_config_options(CLI::App& command, std::optional<std::filesystem::path>& file) {
  auto* config =
      command.add_option("--config", file, "JSON config; keys: xception config --schema");
  command
      .add_option_function<std::string>(
          "--recipe", [&file](const std::string& name) { file = recipe_path(name); },
          "Config that comes with the program; xception recipes lists them")
      ->excludes(config);
}

}  // namespace xception
