#include "command_tree.h"

#include <algorithm>
#include <utility>

#include "xception/models/registry.h"
#include "xception/train/recipes.h"
#include "xception/train/run_config.h"

namespace xception {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::string part;
  for (const char c : text + separator) {
    if (c != separator) {
      part += c;
    } else if (!part.empty()) {
      parts.push_back(std::exchange(part, ""));
    }
  }
  return parts;
}

/// CLI11 keeps what CLI::IsMember accepts in the type's name only: `TEXT:{best,last}`.
std::vector<std::string> choices_of(const CLI::Option& option) {
  const auto type = option.get_type_name();
  const auto first = type.find('{'), last = type.find('}');
  if (first == std::string::npos || last == std::string::npos || last < first) return {};
  return split(type.substr(first + 1, last - first - 1), ',');
}

DeclaredOption declared(const CLI::Option& option) {
  DeclaredOption result;
  result.positional = option.get_positional();
  if (result.positional) {
    result.names = {option.get_name(/*positional=*/true)};
  } else {
    for (const auto& name : option.get_snames()) result.names.push_back("-" + name);
    for (const auto& name : option.get_lnames()) result.names.push_back("--" + name);
  }
  result.takes_value = option.get_items_expected_max() > 0 && option.get_type_size_max() > 0;
  result.required = option.get_required();
  result.many = option.get_items_expected_max() > 1;
  result.choices = choices_of(option);
  if (!result.positional && result.names.back() == "--recipe") {
    for (const auto& recipe : recipes()) result.choices.emplace_back(recipe.name);
  }
  result.default_value = option.get_default_str();
  result.description = option.get_description();
  return result;
}

void add_command(const CLI::App& command, const std::string& path,
                 std::vector<DeclaredCommand>& all) {
  DeclaredCommand result{.path = path,
                         .description = command.get_description(),
                         .footer = command.get_footer(),
                         .options = {},
                         .subcommands = {}};
  for (const auto* option : command.get_options()) {
    if (!option->get_group().empty()) result.options.push_back(declared(*option));
  }
  const auto inner = command.get_subcommands(
      [](const CLI::App* candidate) { return !candidate->get_group().empty(); });
  for (const auto* one : inner) result.subcommands.push_back(one->get_name());
  all.push_back(std::move(result));
  for (const auto* one : inner) {
    add_command(*one, path.empty() ? one->get_name() : path + " " + one->get_name(), all);
  }
}

}  // namespace

bool DeclaredCommand::takes_overrides() const {
  return std::any_of(options.begin(), options.end(), [](const auto& option) {
    return option.positional && option.names.front() == "overrides";
  });
}

std::vector<DeclaredCommand> declared_commands(const CLI::App& program) {
  std::vector<DeclaredCommand> all;
  add_command(program, "", all);
  return all;
}

std::vector<DeclaredKey> declared_keys() {
  std::vector<DeclaredKey> keys;
  for (const auto& description : config_schema()) {
    DeclaredKey key{.name = description.key, .choices = {}};
    if (description.key == "model.name") {
      for (const auto& entry : model_registry()) key.choices.push_back(entry.name);
    } else if (description.type == "boolean") {
      key.choices = {"true", "false"};
    } else if (description.range.find('|') != std::string::npos) {
      key.choices = split(description.range, '|');
    }
    keys.push_back(std::move(key));
  }
  return keys;
}

}  // namespace xception
