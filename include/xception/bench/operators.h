#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>

namespace xception {

/// What LibTorch's operators did during a piece of work.
struct OperatorCount {
  std::int64_t operators = 0;      ///< that read or wrote tensors' elements
  std::int64_t read_bytes = 0;     ///< of their operands
  std::int64_t written_bytes = 0;  ///< of their results, and of operands changed in place

  [[nodiscard]] std::int64_t bytes() const { return read_bytes + written_bytes; }
};

/// Does the work, in this thread and those of autograd, and counts its operators.
///
/// Of an operator that calls others, what moves more is counted: its own operands (a matrix product
/// that first copies its bias) or those of what it calls (a loss that is made of several). Views
/// and allocations don't move any. An operand counts with the elements that it really has (a
/// broadcast dimension once), a result that is only overwritten as written, one that is updated as
/// read and written.
///
/// So this is operand traffic: what the operators would move if each read its operands once from
/// memory and wrote its results once. Caches make it less; kernels that go over an operand several
/// times (BatchNorm's statistics), reorder weights, or use scratch memory make it more, and neither
/// is seen. Nor are kernels that are called past LibTorch's dispatcher.
[[nodiscard]] OperatorCount count_operators(const std::function<void()>& work);

/// A kernel of a GPU, and all its launches.
struct KernelTime {
  std::int64_t launches = 0;
  double seconds = 0.0;
};

/// Does the work and times the kernels that it launched on a GPU, by name (CUPTI through LibTorch's
/// profiler; copies and fills by the driver not included). Nothing on the CPU, or where the
/// profiler can't; then the work may be half done. It slows what comes later: do it last.
[[nodiscard]] std::map<std::string, KernelTime> time_kernels(const torch::Device& device,
                                                             const std::function<void()>& work);

/// Does the work, and on a GPU does it again in an NVTX range of this name, by which nsys and ncu
/// find it.
void in_profiler_range(const torch::Device& device, const char* name,
                       const std::function<void()>& work);

}  // namespace xception
