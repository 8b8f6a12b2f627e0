#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cstdint>
#include <vector>

#include "../operations.h"
#include "kernels.h"
#include "threads.h"
#include "xception/core/error.h"

// From tensors to the pointers and numbers that the kernels take; a part of operations.cpp.
namespace xception {

inline cpu::Dtype dtype_of(const at::Tensor& x) {
  switch (x.scalar_type()) {
    case at::kHalf:
      return cpu::Dtype::half;
    case at::kBFloat16:
      return cpu::Dtype::bfloat16;
    case at::kFloat:
      return cpu::Dtype::float32;
    case at::kDouble:
      return cpu::Dtype::float64;
    default:
      throw run_error("kernels", "no kernels for {}", c10::toString(x.scalar_type()));
  }
}

inline const cpu::Kernels& kernels_for(const at::Tensor& x) {
  return cpu::kernels(dtype_of(x));
}

inline at::ScalarType arithmetic_of(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

/// Zeroed memory of the kernels, enough for A of any dtype.
class Scratch {
 public:
  explicit Scratch(std::int64_t elements) : values_(static_cast<std::size_t>(elements)) {}
  void* data() { return values_.data(); }

 private:
  std::vector<double> values_;
};

/// Element `at` of an image tensor, or nullptr of an undefined one.
inline const char* at_element(const at::Tensor& x, std::int64_t at) {
  if (!x.defined()) return nullptr;
  return static_cast<const char*>(x.const_data_ptr()) +
         at * static_cast<std::int64_t>(x.element_size());
}
inline char* at_element_mutable(const at::Tensor& x, std::int64_t at) {
  if (!x.defined()) return nullptr;
  return static_cast<char*>(x.mutable_data_ptr()) +
         at * static_cast<std::int64_t>(x.element_size());
}

/// Pixels of an image from `first` on; nothing of an undefined one.
inline cpu::From rows_from(const at::Tensor& x, std::int64_t first) {
  if (!x.defined()) return {};
  const auto stride = row_stride(x);
  return {.data = at_element(x, first * stride), .stride = stride};
}
inline cpu::To rows_to(const at::Tensor& x, std::int64_t first) {
  if (!x.defined()) return {};
  const auto stride = row_stride(x);
  return {.data = at_element_mutable(x, first * stride), .stride = stride};
}

inline at::Tensor empty_image(at::IntArrayRef sizes, const at::TensorOptions& options) {
  return at::empty(sizes, options.memory_format(at::MemoryFormat::ChannelsLast));
}

inline std::int64_t rows_of(const at::Tensor& x) {
  return x.numel() / x.size(1);
}

/// part: of the vector of coefficients.
inline const void* coefficient(const at::Tensor& coefficients, std::int64_t row) {
  return coefficients.defined() ? at_element(coefficients, row * coefficients.size(1)) : nullptr;
}

inline cpu::OnLoad on_load(const ReadAs& read) {
  return {.center = coefficient(read.coefficients, 0),
          .scale = coefficient(read.coefficients, 1),
          .shift = coefficient(read.coefficients, 2),
          .relu = read.relu};
}

inline cpu::Window window_of(const at::Tensor& x, const WindowOptions& options) {
  return {.height = x.size(2),
          .width = x.size(3),
          .channels = x.size(1),
          .out_height = window_positions(x.size(2), options),
          .out_width = window_positions(x.size(3), options),
          .stride = options.stride,
          .padding = options.padding};
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
