#pragma once

#include <cstdint>
#include <functional>

namespace xception {

/// How many parts of `items` are worth a thread each, given `elements` in all.
std::int64_t parts_of(std::int64_t items, std::int64_t elements);

/// Splits `items` into `parts` and calls work(part, first, last) for each, at the same time on
/// LibTorch's threads.
void in_parts(std::int64_t items, std::int64_t parts,
              const std::function<void(std::int64_t, std::int64_t, std::int64_t)>& work);

}  // namespace xception
