#include "config_option.h"
#include "subcommands.h"
#include "xception/core/log.h"
#include "xception/data/transform.h"
#include "xception/models/registry.h"
#include "xception/train/run_config.h"

namespace xception {
namespace {

struct ConfigArguments {
  std::optional<std::filesystem::path> file;
  std::vector<std::string> overrides;
  bool schema = false;
};

void show_schema() {
  for (const auto& key : config_schema()) {
    spdlog::info("{:<32} {:<16} default {:<18} {}", key.key, key.type, key.default_value.dump(),
                 key.range);
    spdlog::info("{:<32} {}", "", key.meaning);
  }
}

void show_config(const ConfigArguments& arguments) {
  if (arguments.schema) {
    show_schema();
    return;
  }
  start_log(/*to_standard_error=*/true);
  auto config = load_config(arguments.file, arguments.overrides);
  check_together(config);
  resolve_model(config);
  for (const auto& [key, list] : {std::pair{"augment.train", config.augment.train},
                                  std::pair{"augment.test", config.augment.test}}) {
    (void)build_transforms(list, key, config.data.image_size);
  }
  for (const auto& notice : config.notices) spdlog::info("{}", notice);
  print_json(to_json(config));
}

}  // namespace

void add_config_command(CLI::App& program, Invocation& /*invocation*/) {
  auto arguments = std::make_shared<ConfigArguments>();
  auto* command = program.add_subcommand("config", "Show the resolved config, or every key");
  add_config_options(*command, arguments->file);
  command->add_option("overrides", arguments->overrides, "key=value ...");
  command->add_flag("--schema", arguments->schema,
                    "List every key with type, default, range and meaning");
  command->footer("Example: xception config --config configs/xception.json train.epochs=3");
  command->callback([arguments] { show_config(*arguments); });
}

}  // namespace xception
