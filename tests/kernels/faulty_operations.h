#pragma once

#include "kernels/operations.h"
#include "xception/kernels/parameter_update.h"

namespace xception {

/// What a step of a kernel may get wrong.
enum class Fault {
  none,
  statistics,
  sums,
  input_gradient,
  convolution,
  tap,
  pooling,
  index,
  source,
  rows,
  update,
  // Of channel slices and concatenations alone, which fused_selftest doesn't run.
  slice,
  concatenation,
  slice_gradient,
};

/// The CPU's operations with one fault; while it lives, they serve CPU tensors.
class FaultyOperations : public Operations {
 public:
  explicit FaultyOperations(Fault fault) : fault_(fault) { serve_cpu_tensors_with(this); }
  ~FaultyOperations() override { serve_cpu_tensors_with(nullptr); }
  FaultyOperations(const FaultyOperations&) = delete;
  FaultyOperations& operator=(const FaultyOperations&) = delete;

  BatchNormState statistics(const at::Tensor& x, const BatchNormArguments& bn) const override {
    auto state = cpu_.statistics(x, bn);
    if (fault_ == Fault::statistics) state.coefficients[1].mul_(1.1);
    return state;
  }
  at::Tensor bn_forward(const at::Tensor& x, const at::Tensor& residual, const ReadAs& read,
                        const at::Tensor& to) const override {
    const auto y = cpu_.bn_forward(x, residual, read, to);
    const bool slice = row_stride(x) != x.size(1);
    if (fault_ == Fault::slice && slice) y.select(1, 0).zero_();
    if (fault_ == Fault::concatenation && to.defined()) y.select(1, 0).zero_();
    return y;
  }
  BatchNormGradients bn_reduce(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& output,
                               const BatchNormSaved& saved, bool relu) const override {
    auto gradients = cpu_.bn_reduce(dy, x, output, saved, relu);
    if (fault_ == Fault::sums) gradients.bias.mul_(1.1);
    return gradients;
  }
  at::Tensor bn_backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& output,
                         const ReadAs& read, const at::Tensor& input_gradient,
                         const at::Tensor& d_residual, const at::Tensor& to) const override {
    const auto dx = cpu_.bn_backward(dy, x, output, read, input_gradient, d_residual, to);
    if (fault_ == Fault::input_gradient) dx.mul_(1.1);
    if (fault_ == Fault::slice_gradient && to.defined()) dx.mul_(0.5);
    return dx;
  }
  at::Tensor depthwise_forward(const at::Tensor& x, const ReadAs& read, const at::Tensor& weight,
                               const WindowOptions& options) const override {
    const auto y = cpu_.depthwise_forward(x, read, weight, options);
    if (fault_ == Fault::convolution) y.select(2, 0).zero_();  // a line of the halo
    return y;
  }
  DepthwiseGradients depthwise_backward(const at::Tensor& dy, const at::Tensor& x,
                                        const BatchNormSaved& saved, bool relu,
                                        const at::Tensor& weight, const WindowOptions& options,
                                        const at::Tensor& added) const override {
    auto gradients = cpu_.depthwise_backward(dy, x, saved, relu, weight, options, added);
    if (fault_ == Fault::tap) gradients.weight.select(2, 2).zero_();
    return gradients;
  }
  Pooled pool_forward(const at::Tensor& x, const at::Tensor& residual, const WindowOptions& options,
                      bool with_index) const override {
    auto pooled = cpu_.pool_forward(x, residual, options, with_index);
    if (fault_ == Fault::pooling) pooled.values.select(1, 0).zero_();  // a channel
    if (fault_ == Fault::index && with_index) pooled.index.fill_(4);
    return pooled;
  }
  at::Tensor pool_backward(const at::Tensor& dy, const at::Tensor& index,
                           at::IntArrayRef input_sizes,
                           const WindowOptions& options) const override {
    return cpu_.pool_backward(dy, index, input_sizes, options);
  }
  Pooled bn_pool_forward(const at::Tensor& x, const ReadAs& read, const at::Tensor& residual,
                         const WindowOptions& options, bool with_index) const override {
    auto pooled = cpu_.bn_pool_forward(x, read, residual, options, with_index);
    if (fault_ == Fault::pooling) pooled.values.select(1, 0).zero_();
    if (fault_ == Fault::source && with_index) pooled.source.zero_();
    return pooled;
  }
  at::Tensor bn_pool_backward(const at::Tensor& dy, const at::Tensor& index, const at::Tensor& x,
                              const ReadAs& read, const at::Tensor& input_gradient,
                              const WindowOptions& options) const override {
    return cpu_.bn_pool_backward(dy, index, x, read, input_gradient, options);
  }
  at::Tensor average(const at::Tensor& x, const at::Tensor& to) const override {
    return cpu_.average(x, to);
  }
  at::Tensor average_backward(const at::Tensor& dy, at::IntArrayRef input_sizes, std::int64_t size,
                              std::int64_t stride) const override {
    return cpu_.average_backward(dy, input_sizes, size, stride);
  }
  at::Tensor image_rows(const at::Tensor& columns, const at::Tensor& rows, const at::Tensor& scale,
                        const at::Tensor& offset, at::ScalarType dtype) const override {
    const auto y = cpu_.image_rows(columns, rows, scale, offset, dtype);
    if (fault_ == Fault::rows) y.select(1, 2).zero_();  // a color
    return y;
  }
  void update(const UpdateArguments& arguments) const override {
    cpu_.update(arguments);
    if (fault_ == Fault::update) arguments.updates.back().second.mul_(1.1);
  }

 private:
  const Operations& cpu_ = cpu_operations();
  Fault fault_;
};

}  // namespace xception
