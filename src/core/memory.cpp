#include "xception/core/memory.h"

#include <malloc.h>

namespace xception {

void keep_large_blocks() {
  constexpr int kThreshold = 1 << 30;
  mallopt(M_MMAP_THRESHOLD, kThreshold);
  mallopt(M_TRIM_THRESHOLD, kThreshold);
}

bool is_out_of_memory(std::string_view text) {
  for (const std::string_view words : {"not enough memory", "out of memory", "allocate memory",
                                       "std::bad_alloc", "_ALLOC_FAILED", "ALLOCATION_FAILED"}) {
    if (text.find(words) != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace xception
