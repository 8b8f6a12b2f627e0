#pragma once

#include <string>
#include <vector>

#include "command_tree.h"

namespace xception {

/// What has a shell complete subcommands, options, their values, and the config's keys with theirs.
/// It asks the program for nothing. Error (input): a shell that isn't bash, zsh or fish.
[[nodiscard]] std::string completion_script(const std::string& shell,
                                            const std::vector<DeclaredCommand>& commands,
                                            const std::vector<DeclaredKey>& keys);

}  // namespace xception
