#pragma once

#include <string_view>

namespace xception {

/// Lets glibc's allocator keep large blocks. By default it maps blocks above 32 MB afresh for each
/// operation, and on the CPU the page faults cost more than the arithmetic of an elementwise one.
void keep_large_blocks();

/// Whether an error's text is LibTorch's, CUDA's, cuBLAS's, cuDNN's or the system's for want of
/// memory: it comes as several exception types.
[[nodiscard]] bool is_out_of_memory(std::string_view text);

}  // namespace xception
