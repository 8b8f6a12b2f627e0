#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "xception/kernels/update_rule.h"

namespace xception {

// What a device must be able to do, without autograd: the functions of the public headers are made
// of these. Images are (N, C, H, W) in channels_last; BatchNorm's may also be channel slices of
// such, whose pixels lie row_stride() elements apart. A is the dtype of arithmetic: float64 for
// float64 images, else float32.

/// A BatchNorm module's parameters, buffers and constants (xception/kernels/bn_act.h).
struct BatchNormArguments;

/// A BatchNorm with its statistics known.
struct BatchNormState {
  at::Tensor coefficients;  ///< A (3, C): center, scale, shift; see batch_norm_math.h
  at::Tensor statistics;    ///< float64 (2, C): mean, inverse standard deviation
};

/// What a read of x does: BatchNorm where coefficients are defined, then ReLU.
struct ReadAs {
  at::Tensor coefficients = {};  ///< A (3, C)
  bool relu = false;
};

/// BatchNorm's gradients, but for the input's, which is
/// g * scale + (x - center) * slope + offset.
struct BatchNormGradients {
  at::Tensor weight = {}, bias = {};
  at::Tensor input = {};  ///< A (2, C): slope, offset
};

/// What backward needs of a BatchNorm's forward.
struct BatchNormSaved {
  BatchNormState state = {};
  at::Tensor weight = {};
  bool training = true;
  std::int64_t count = 0;  ///< values of a channel; 0: as many as x has
};

struct WindowOptions {
  std::int64_t stride = 1;
  std::int64_t padding = 1;
};

/// Positions of a 3x3 window in `size`.
constexpr std::int64_t window_positions(std::int64_t size, const WindowOptions& options) {
  return (size + 2 * options.padding - 3) / options.stride + 1;
}

/// Elements from one pixel to the next, C or more: C for a channels_last image, more for a channel
/// slice of one; 0: x is neither.
std::int64_t row_stride(const at::Tensor& x);

struct DepthwiseGradients {
  at::Tensor input = {};  ///< with a BatchNorm: g, of what BatchNorm gave
  at::Tensor weight = {};
  BatchNormGradients batch_norm = {};
};

struct Pooled {
  at::Tensor values = {};
  at::Tensor index = {};   ///< uint8, the shape of values: 3 * row + column of the maximum
  at::Tensor source = {};  ///< x there, where a BatchNorm was done on reading
};

struct ParameterUpdate;
struct UpdateScalars;

/// fused_update()'s arguments, checked; there is at least one update, and all are of one dtype.
struct UpdateArguments {
  const std::vector<ParameterUpdate>& updates;
  UpdateRule rule;
  const UpdateScalars& scalars;
};

class Operations {
 public:
  virtual ~Operations() = default;

  /// Statistics of the batch, or the running ones where not training; training updates these.
  virtual BatchNormState statistics(const at::Tensor& x,
                                    const BatchNormArguments& arguments) const = 0;
  /// residual may be undefined. to: where the result is written; undefined: a new tensor.
  virtual at::Tensor bn_forward(const at::Tensor& x, const at::Tensor& residual, const ReadAs& read,
                                const at::Tensor& to = {}) const = 0;
  /// output: where the ReLU's mask comes from; undefined: from x. x may be those of the values
  /// alone that have a gradient: saved.count has them all.
  virtual BatchNormGradients bn_reduce(const at::Tensor& dy, const at::Tensor& x,
                                       const at::Tensor& output, const BatchNormSaved& saved,
                                       bool relu) const = 0;
  /// The input's gradient, in `to` or, where that is undefined, a new tensor; g itself goes to
  /// d_residual where that is defined.
  virtual at::Tensor bn_backward(const at::Tensor& dy, const at::Tensor& x,
                                 const at::Tensor& output, const ReadAs& read,
                                 const at::Tensor& input_gradient, const at::Tensor& d_residual,
                                 const at::Tensor& to = {}) const = 0;
  virtual at::Tensor depthwise_forward(const at::Tensor& x, const ReadAs& read,
                                       const at::Tensor& weight,
                                       const WindowOptions& options) const = 0;
  /// saved: its state is undefined where there is no BatchNorm. added: to the input's gradient,
  /// where there is none; undefined: nothing.
  virtual DepthwiseGradients depthwise_backward(const at::Tensor& dy, const at::Tensor& x,
                                                const BatchNormSaved& saved, bool relu,
                                                const at::Tensor& weight,
                                                const WindowOptions& options,
                                                const at::Tensor& added = {}) const = 0;
  virtual Pooled pool_forward(const at::Tensor& x, const at::Tensor& residual,
                              const WindowOptions& options, bool with_index) const = 0;
  virtual at::Tensor pool_backward(const at::Tensor& dy, const at::Tensor& index,
                                   at::IntArrayRef input_sizes,
                                   const WindowOptions& options) const = 0;
  /// The same of what a BatchNorm makes of x.
  virtual Pooled bn_pool_forward(const at::Tensor& x, const ReadAs& read,
                                 const at::Tensor& residual, const WindowOptions& options,
                                 bool with_index) const = 0;
  /// x's gradient.
  virtual at::Tensor bn_pool_backward(const at::Tensor& dy, const at::Tensor& index,
                                      const at::Tensor& x, const ReadAs& read,
                                      const at::Tensor& input_gradient,
                                      const WindowOptions& options) const = 0;
  /// at::avg_pool2d(x, 3, 1, 1) of an image or a channel slice; also its own backward, being
  /// symmetric. to: as for bn_forward().
  virtual at::Tensor average(const at::Tensor& x, const at::Tensor& to = {}) const = 0;
  /// The gradient of at::avg_pool2d(x, size, stride). dy: dense.
  virtual at::Tensor average_backward(const at::Tensor& dy, at::IntArrayRef input_sizes,
                                      std::int64_t size, std::int64_t stride) const = 0;
  /// fused_image_rows() of contiguous tensors; columns has elements.
  virtual at::Tensor image_rows(const at::Tensor& columns, const at::Tensor& rows,
                                const at::Tensor& scale, const at::Tensor& offset,
                                at::ScalarType dtype) const = 0;
  virtual void update(const UpdateArguments& arguments) const = 0;
};

const Operations& cpu_operations();
/// nullptr: a build without CUDA.
const Operations* cuda_operations();

/// The operations of x's device. Error (run): a device that has none.
const Operations& operations_for(const at::Tensor& x);

/// For tests: who serves tensors of the CPU; nullptr: cpu_operations().
void serve_cpu_tensors_with(const Operations* operations);

}  // namespace xception
