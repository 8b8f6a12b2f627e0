#pragma once

#include <cstdint>
#include <memory>

#include "xception/core/error.h"

namespace xception {

/// As long as one lives, an Error is thrown where this process's tensors on the CPU are allocated
/// more than so many bytes together, those already freed included: what a file says that there is
/// to be built mustn't take all memory. One at a time. Nothing else may set LibTorch's allocator
/// meanwhile.
class AllocationLimit {
 public:
  AllocationLimit(std::uint64_t bytes, const Error& error);
  AllocationLimit(const AllocationLimit&) = delete;
  AllocationLimit& operator=(const AllocationLimit&) = delete;
  ~AllocationLimit();
};

}  // namespace xception
