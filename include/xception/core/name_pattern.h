#pragma once

#include <string>

namespace xception {

/// Whether a pattern means a module or parameter of a network by its dotted name, such as
/// `block3.rep.0.conv1.weight`. A pattern is a shell's: `*` is any text, dots too, `?` one
/// character, `[ab]` one of these. It means a name that it matches wholly, and all that lies below
/// a module that it matches: `block3`, `block3.rep`, `block*` and `*.weight` all mean that weight.
[[nodiscard]] bool means_name(const std::string& pattern, const std::string& name);

}  // namespace xception
