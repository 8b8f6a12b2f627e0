#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "../tensor_access.h"
#include "kernels.h"

// Work on tensors in parts, and what is computed on the host; a part of operations.cpp.
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

/// Splits `items` into as many parts as there are threads and calls work(part, first, last).
inline void in_parts(std::int64_t items, std::int64_t parts,
                     const std::function<void(std::int64_t, std::int64_t, std::int64_t)>& work) {
  at::parallel_for(0, parts, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t part = begin; part < end; ++part) {
      work(part, items * part / parts, items * (part + 1) / parts);
    }
  });
}

/// Elements below which a second thread costs more than it saves.
constexpr std::int64_t kGrain = 32768;

inline std::int64_t parts_of(std::int64_t items, std::int64_t elements) {
  const std::int64_t useful = std::max<std::int64_t>(1, elements / kGrain);
  return std::max<std::int64_t>(1, std::min({items, useful, std::int64_t{at::get_num_threads()}}));
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
