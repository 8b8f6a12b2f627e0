#include "threads.h"

#include <ATen/Parallel.h>

#include <algorithm>

// at::parallel_for is a template, which without OpenMP becomes a plain loop.
#ifndef _OPENMP
#error "compile this file with OpenMP"
#endif

namespace xception {
namespace {

/// Elements below which a second thread costs more than it saves.
constexpr std::int64_t kGrain = 32768;

}  // namespace

std::int64_t parts_of(std::int64_t items, std::int64_t elements) {
  const std::int64_t useful = std::max<std::int64_t>(1, elements / kGrain);
  return std::max<std::int64_t>(1, std::min({items, useful, std::int64_t{at::get_num_threads()}}));
}

void in_parts(std::int64_t items, std::int64_t parts,
              const std::function<void(std::int64_t, std::int64_t, std::int64_t)>& work) {
  at::parallel_for(0, parts, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t part = begin; part < end; ++part) {
      work(part, items * part / parts, items * (part + 1) / parts);
    }
  });
}

}  // namespace xception
