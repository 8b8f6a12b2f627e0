#include "subcommands.h"
#include "xception/core/log.h"
#include "xception/models/complexity.h"
#include "xception/models/registry.h"
#include "xception/train/run_config.h"

namespace xception {
namespace {

struct ModelsArguments {
  std::vector<std::string> overrides;
  bool json = false;
};

nlohmann::ordered_json describe_model(RunConfig config) {
  resolve_model(config);
  const auto model = build_model(config.model);
  const auto cost = count_complexity(*model, config.data.image_size);
  return {{"name", config.model.name},
          {"variant", config.model.variant},
          {"num_classes", config.model.num_classes},
          {"parameters", cost.parameters},
          {"multiply_adds", cost.multiply_adds},
          {"activations", cost.activations},
          {"image_size", config.data.image_size}};
}

/// Every variant of every model as it is by default; with overrides only the model they mean.
nlohmann::ordered_json describe_models(const std::vector<std::string>& overrides) {
  auto models = nlohmann::ordered_json::array();
  if (!overrides.empty()) {
    models.push_back(describe_model(load_config({}, overrides)));
    return models;
  }
  for (const auto& entry : model_registry()) {
    for (const auto& variant : entry.variants) {
      RunConfig config;
      config.model.name = entry.name;
      config.model.variant = variant;
      config.data.image_size = entry.default_image_size;
      models.push_back(describe_model(config));
    }
  }
  return models;
}

void show_models(const ModelsArguments& arguments) {
  const auto models = describe_models(arguments.overrides);
  if (arguments.json) {
    print_json(models);
    return;
  }
  spdlog::info("{:<14} {:<12} {:>7} {:>12} {:>15} {:>13} {:>5}", "model", "variant", "classes",
               "parameters", "multiply-adds", "activations", "px");
  for (const auto& model : models) {
    spdlog::info("{:<14} {:<12} {:>7} {:>12} {:>15} {:>13} {:>5}", model["name"].get<std::string>(),
                 model["variant"].get<std::string>(), model["num_classes"].get<std::int64_t>(),
                 model["parameters"].get<std::int64_t>(),
                 model["multiply_adds"].get<std::int64_t>(),
                 model["activations"].get<std::int64_t>(), model["image_size"].get<std::int64_t>());
  }
  if (!arguments.overrides.empty()) return;
  for (const auto& entry : model_registry()) {
    spdlog::info("{}: {}; from {} px", entry.name, entry.description, entry.min_image_size);
  }
}

}  // namespace

void add_models_command(CLI::App& program, Invocation& /*invocation*/) {
  auto arguments = std::make_shared<ModelsArguments>();
  auto* command = program.add_subcommand("models", "List the models and what they cost");
  command->add_option("overrides", arguments->overrides,
                      "key=value ...: just that model (model.*, data.image_size)");
  command->add_flag("--json", arguments->json, "Print JSON");
  command->footer("Example: xception models model.name=xception model.variant=notebook");
  command->callback([arguments] { show_models(*arguments); });
}

}  // namespace xception
