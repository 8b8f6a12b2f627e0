#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>

namespace xception {

/// Adds `--config FILE` and `--recipe NAME`, of which a command line may give one. `file` becomes
/// what load_config takes; it must live as long as the command.
void add_config_options(CLI::App& command, std::optional<std::filesystem::path>& file);

}  // namespace xception
