#pragma once

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <initializer_list>

#include "../tensor_access.h"
#include "operations.h"
#include "xception/kernels/bn_act.h"

// Tensors as the CUDA kernels take them (kernels.h), and how their work is shared out.
namespace xception {

inline std::int64_t stride_of(const at::Tensor& x) {
  const auto stride = row_stride(x);
  if (stride > 0) return stride;
  throw run_error("kernels", "an image of {} with strides {}; expected channels_last",
                  c10::str(x.sizes()), c10::str(x.strides()));
}

inline cuda::In in(const at::Tensor& x) {
  if (!x.defined()) return {};
  return {.data = x.const_data_ptr(), .stride = stride_of(x)};
}

inline cuda::Out out(const at::Tensor& x) {
  if (!x.defined()) return {};
  return {.data = x.mutable_data_ptr(), .stride = stride_of(x)};
}

inline cuda::Parameter parameter(const at::Tensor& x) {
  return {.data = const_cast<void*>(x.const_data_ptr()),
          .is_double = x.scalar_type() == at::kDouble};
}

/// A parameter that is written.
inline cuda::Parameter written(const at::Tensor& x) {
  return {.data = x.mutable_data_ptr(), .is_double = x.scalar_type() == at::kDouble};
}

using Images = std::initializer_list<std::reference_wrapper<const at::Tensor>>;

/// `width`, or 1 where the images (undefined ones don't count) don't allow vectors.
inline int width_for(int width, const Images& images) {
  std::uint64_t bits = 0;
  std::int64_t channels = 0;
  std::int64_t bytes = 1;
  for (const at::Tensor& x : images) {
    if (!x.defined()) continue;
    channels = x.size(1);
    bytes = x.element_size();
    bits |= reinterpret_cast<std::uintptr_t>(x.const_data_ptr()) |
            static_cast<std::uint64_t>(stride_of(x) * bytes);
  }
  return cuda::aligned_width(width, channels, bytes, bits);
}

/// How to spread the rows of x over the GPU, in vectors of `width` values where the images allow.
inline cuda::RowsPlan rows_plan(const cuda::Queue& queue, const at::Tensor& x, const Images& images,
                                int width, std::int64_t blocks = cuda::kBlocksPerMultiprocessor) {
  return cuda::plan_rows(rows_of(x), x.size(1), width_for(width, images), queue.multiprocessors,
                         blocks);
}

/// How to spread the lines of `image`, or pairs of them, over the GPU, in vectors of `width`
/// values.
inline cuda::LinesPlan lines_plan(const cuda::Queue& queue, const at::Tensor& image, int width,
                                  bool with_sums, bool pairs = false) {
  const std::int64_t lines = cuda::quotient(image.size(2), pairs ? 2 : 1);
  return cuda::plan_lines(image.size(0) * lines, image.size(3), image.size(1), width,
                          queue.multiprocessors, with_sums, pairs);
}

/// Whether the kernels of pairs of lines can read x, in vectors of `width` values where `wanted`
/// are the most.
inline bool by_pairs(const at::Tensor& x, const WindowOptions& options, int width, int wanted) {
  return options.stride == 1 && options.padding == 1 &&
         cuda::can_pair(x.element_size(), width, wanted) &&
         cuda::fits_32_bits(rows_of(x), stride_of(x) * x.element_size());
}

inline at::Tensor partial_sums(const at::Tensor& x, std::int64_t parts, std::int64_t rows) {
  return at::empty({parts, rows, x.size(1)}, x.options().dtype(at::kDouble));
}

/// Asks finish_sums for a BatchNorm's gradients and makes what they go to.
inline BatchNormGradients ask_for_gradients(cuda::Sums& sums, const at::Tensor& x,
                                            const BatchNormSaved& saved) {
  BatchNormGradients gradients{
      .weight = at::empty_like(saved.weight),
      .bias = at::empty_like(saved.weight),
      .input = at::empty({2, x.size(1)}, x.options().dtype(arithmetic_of(x)))};
  sums.weight = parameter(saved.weight);
  sums.statistics = saved.state.statistics.const_data_ptr<double>();
  sums.count = saved.training ? static_cast<double>(count_of(saved, x)) : 0.0;
  sums.d_weight = written(gradients.weight);
  sums.d_bias = written(gradients.bias);
  sums.input = gradients.input.mutable_data_ptr();
  return gradients;
}

}  // namespace xception
