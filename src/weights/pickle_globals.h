#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace xception {

/// What a class or function that a weights file may name stands for here.
struct PickleGlobal {
  enum class Gives {
    tensor,     ///< called with a storage, an offset, sizes and strides
    parameter,  ///< called with a tensor: gives it
    dict,       ///< called with nothing, or with a list of pairs
    counts,     ///< a dict of no tensors
    sequence,   ///< called with a sequence: gives one
    opaque,     ///< whatever it is called with, no weights
    nothing,    ///< not to be called: a dtype, a kind of storage, a default of a defaultdict
  };

  std::string_view name;  ///< "module.name"
  Gives gives;
  std::string_view dtype = {};  ///< of a storage, as safetensors names it
};

/// The global of a name; nullptr where a weights file has no business with it.
[[nodiscard]] const PickleGlobal* find_global(std::string_view name);

}  // namespace xception
