#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cstdint>

#include "operations.h"
#include "raw.h"
#include "xception/core/error.h"
#include "xception/kernels/parameter_update.h"

// From tensors to the pointers and numbers that the kernels of every device take.
namespace xception {

inline raw::Dtype dtype_of(const at::Tensor& x) {
  switch (x.scalar_type()) {
    case at::kHalf:
      return raw::Dtype::half;
    case at::kBFloat16:
      return raw::Dtype::bfloat16;
    case at::kFloat:
      return raw::Dtype::float32;
    case at::kDouble:
      return raw::Dtype::float64;
    default:
      throw run_error("kernels", "no kernels for {}", c10::toString(x.scalar_type()));
  }
}

inline at::ScalarType arithmetic_of(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

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

inline at::Tensor empty_image(at::IntArrayRef sizes, const at::TensorOptions& options) {
  return at::empty(sizes, options.memory_format(at::MemoryFormat::ChannelsLast));
}

inline std::int64_t rows_of(const at::Tensor& x) {
  return x.numel() / x.size(1);
}

/// One vector of (rows, C) coefficients, or nullptr of undefined ones.
inline const void* coefficient(const at::Tensor& coefficients, std::int64_t row) {
  return coefficients.defined() ? at_element(coefficients, row * coefficients.size(1)) : nullptr;
}

inline raw::OnLoad on_load(const ReadAs& read) {
  return {.center = coefficient(read.coefficients, 0),
          .scale = coefficient(read.coefficients, 1),
          .shift = coefficient(read.coefficients, 2),
          .relu = read.relu};
}

/// y: what is to be written, (N, 3, H', W').
inline raw::ImageRows image_rows_of(const at::Tensor& columns, const at::Tensor& rows,
                                    const at::Tensor& scale, const at::Tensor& offset,
                                    const at::Tensor& y) {
  const bool one_for_all = !rows.defined() || rows.size(0) == 1;
  return {.columns = columns.const_data_ptr<float>(),
          .rows = rows.defined() ? rows.const_data_ptr<float>() : nullptr,
          .rows_stride = one_for_all ? 0 : y.size(2) * columns.size(1),
          .scale = scale.const_data_ptr<float>(),
          .offset = offset.const_data_ptr<float>(),
          .height = columns.size(1),
          .out_height = y.size(2),
          .values = columns.size(2)};
}

/// New memory for the result of image_rows().
inline at::Tensor image_for_rows(const at::Tensor& columns, const at::Tensor& rows,
                                 at::ScalarType dtype) {
  return empty_image(
      {columns.size(0), raw::kColors, rows.defined() ? rows.size(1) : columns.size(1),
       columns.size(2) / raw::kColors},
      columns.options().dtype(dtype));
}

inline raw::Update raw_update(const ParameterUpdate& of) {
  return {.parameter = at_element_mutable(of.parameter, 0),
          .gradient = at_element(of.gradient, 0),
          .first = at_element_mutable(of.first, 0),
          .second = at_element_mutable(of.second, 0),
          .copy = at_element_mutable(of.copy, 0),
          .count = of.parameter.numel()};
}

inline raw::Window window_of(const at::Tensor& x, const WindowOptions& options) {
  return {.height = x.size(2),
          .width = x.size(3),
          .channels = x.size(1),
          .out_height = window_positions(x.size(2), options),
          .out_width = window_positions(x.size(3), options),
          .stride = options.stride,
          .padding = options.padding};
}

/// Values of a channel that a BatchNorm's statistics are of.
inline std::int64_t count_of(const BatchNormSaved& saved, const at::Tensor& x) {
  return saved.count > 0 ? saved.count : rows_of(x);
}

}  // namespace xception
