#pragma once

#include <string>
#include <vector>

#include "command_tree.h"
#include "xception/config/keys.h"

namespace xception {

/// xception(1) in the man macros of troff: every command, option and key of a config, as they are
/// declared. version: `0.1.0`.
[[nodiscard]] std::string man_page(const std::vector<DeclaredCommand>& commands,
                                   const std::vector<KeyDescription>& keys,
                                   const std::string& version);

}  // namespace xception
