#include "threads.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "xception/kernels/worker_pool.h"

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
  run_parts(parts, [&](std::int64_t part) {
    work(part, items * part / parts, items * (part + 1) / parts);
  });
}

}  // namespace xception
