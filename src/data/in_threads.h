#pragma once

#include <cstddef>
#include <functional>

#include "xception/data/dataset.h"

namespace xception {

/// Calls work(i) for i in 0 .. n-1 in as many threads as the program computes with, each of them
/// alone. Errors: after the first one no more is begun; of several the one of the smallest i.
void for_each_in_threads(std::size_t n, const std::function<void(std::size_t i)>& work);

/// Calls `use`, which reads an image; what it throws is thrown again as one line that says which
/// image it was.
void naming_the_image(const Dataset& dataset, Split subset, std::int64_t index,
                      const std::function<void()>& use);

}  // namespace xception
