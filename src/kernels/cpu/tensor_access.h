#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "../tensor_access.h"
#include "kernels.h"
#include "threads.h"

// What is computed on the host, and rows as the CPU kernels take them; a part of operations.cpp.
namespace xception {

inline const cpu::Kernels& kernels_for(const at::Tensor& x) {
  return cpu::kernels(dtype_of(x));
}

/// Zeroed memory of the kernels, enough for A of any dtype.
class Scratch {
 public:
  explicit Scratch(std::int64_t elements) : values_(static_cast<std::size_t>(elements)) {}
  void* data() { return values_.data(); }

 private:
  std::vector<double> values_;
};

/// Pixels of an image from `first` on; nothing of an undefined one.
inline raw::In rows_from(const at::Tensor& x, std::int64_t first) {
  if (!x.defined()) return {};
  const auto stride = row_stride(x);
  return {.data = at_element(x, first * stride), .stride = stride};
}
inline raw::Out rows_to(const at::Tensor& x, std::int64_t first) {
  if (!x.defined()) return {};
  const auto stride = row_stride(x);
  return {.data = at_element_mutable(x, first * stride), .stride = stride};
}

/// Calls with a null pointer of A.
template <typename Call>
inline void with_arithmetic(const at::Tensor& x, const Call& call) {
  if (arithmetic_of(x) == at::kDouble) {
    call(double{});
  } else {
    call(float{});
  }
}

/// (C) parameters as doubles.
inline std::vector<double> doubles(const at::Tensor& values) {
  const auto converted = values.to(at::kDouble).contiguous();
  const auto* data = converted.const_data_ptr<double>();
  return {data, data + converted.numel()};
}

/// Adds the parts' sums: (parts, size) -> (size).
inline std::vector<double> added(const std::vector<double>& parts, std::int64_t size) {
  std::vector<double> total(parts.begin(), parts.begin() + size);
  for (std::size_t i = static_cast<std::size_t>(size); i < parts.size(); ++i) {
    total[i % static_cast<std::size_t>(size)] += parts[i];
  }
  return total;
}

}  // namespace xception
