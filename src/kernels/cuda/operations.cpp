#include "operations.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "packing.h"
#include "xception/kernels/bn_act.h"

namespace xception {
namespace {

class CudaOperations : public Operations {
 public:
  explicit CudaOperations(const CudaBackend& place) : place_(place) {}

  BatchNormState statistics(const at::Tensor& x, const BatchNormArguments& bn) const override {
    const std::int64_t channels = x.size(1);
    BatchNormState state{
        .coefficients = at::empty({3, channels}, x.options().dtype(arithmetic_of(x))),
        .statistics = at::empty({2, channels}, x.options().dtype(at::kDouble))};
    const cuda::Normalization to{.weight = parameter(bn.weight),
                                 .bias = parameter(bn.bias),
                                 .running_mean = written(bn.running_mean),
                                 .running_var = written(bn.running_var),
                                 .eps = bn.eps,
                                 .momentum = bn.momentum,
                                 .statistics = state.statistics.mutable_data_ptr<double>(),
                                 .coefficients = state.coefficients.mutable_data_ptr()};
    run(x, [&](const cuda::Queue& queue, const cuda::Kernels& kernels) {
      if (!bn.training) return kernels.constant_statistics(queue, channels, to);
      const auto plan = rows_plan(queue, x, {x}, cuda::row_width(x.element_size()));
      const auto partial = partial_sums(x, plan.parts, cuda::kBatchNormSums);
      kernels.statistics(queue, plan, in(x), partial.mutable_data_ptr<double>());
      kernels.finish_statistics(queue, plan, partial.const_data_ptr<double>(), to);
    });
    return state;
  }

  at::Tensor bn_forward(const at::Tensor& x, const at::Tensor& residual, const ReadAs& read,
                        const at::Tensor& to) const override {
    const auto y = to.defined() ? to : empty_image(x.sizes(), x.options());
    run(x, [&](const cuda::Queue& queue, const cuda::Kernels& kernels) {
      const auto plan = rows_plan(queue, x, {x, residual, y}, cuda::row_width(x.element_size()),
                                  cuda::kStreamingBlocks);
      kernels.bn_forward(queue, plan, in(x), in(residual), out(y), on_load(read));
    });
    return y;
  }

  BatchNormGradients bn_reduce(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& output,
                               const BatchNormSaved& saved, bool relu) const override {
    cuda::Sums sums{.channels = x.size(1)};
    auto gradients = ask_for_gradients(sums, x, saved);
    const ReadAs read{.coefficients = saved.state.coefficients, .relu = relu};
    run(x, [&](const cuda::Queue& queue, const cuda::Kernels& kernels) {
      const auto plan = rows_plan(queue, x, {dy, x, output}, cuda::reduce_width(x.element_size()));
      const auto partial = partial_sums(x, plan.parts, cuda::kBatchNormSums);
      kernels.bn_reduce(queue, plan, in(dy), in(x), in(output), on_load(read),
                        partial.mutable_data_ptr<double>());
      sums.partial = partial.const_data_ptr<double>();
      sums.parts = plan.parts;
      kernels.finish_sums(queue, sums);
    });
    return gradients;
  }

  at::Tensor bn_backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& output,
                         const ReadAs& read, const at::Tensor& input_gradient,
                         const at::Tensor& d_residual, const at::Tensor& to) const override {
    const auto dx = to.defined() ? to : empty_image(x.sizes(), x.options());
    const raw::BatchNormGradient gradient{.load = on_load(read),
                                          .slope = coefficient(input_gradient, 0),
                                          .offset = coefficient(input_gradient, 1)};
    run(x, [&](const cuda::Queue& queue, const cuda::Kernels& kernels) {
      const auto plan = rows_plan(queue, x, {dy, x, output, dx, d_residual},
                                  cuda::row_width(x.element_size()), cuda::kStreamingBlocks);
      kernels.bn_backward(queue, plan, in(dy), in(x), in(output), out(dx), out(d_residual),
                          gradient);
    });
    return dx;
  }

  at::Tensor depthwise_forward(const at::Tensor& x, const ReadAs& read, const at::Tensor& weight,
                               const WindowOptions& options) const override {
    const auto window = window_of(x, options);
    const auto y =
        empty_image({x.size(0), x.size(1), window.out_height, window.out_width}, x.options());
    const auto taps = weight.contiguous();
    run(x, [&](const cuda::Queue& queue, const cuda::Kernels& kernels) {
      const int wanted = cuda::forward_width(x.element_size());
      const int width = width_for(wanted, {x, y});
      const bool pairs = by_pairs(x, options, width, wanted);
      kernels.depthwise_forward(queue, lines_plan(queue, y, width, false, pairs), in(x),
                                y.mutable_data_ptr(), window, on_load(read), parameter(taps));
    });
    return y;
  }

  DepthwiseGradients depthwise_backward(const at::Tensor& dy, const at::Tensor& x,
                                        const BatchNormSaved& saved, bool relu,
                                        const at::Tensor& weight, const WindowOptions& options,
                                        const at::Tensor& added) const override {
    const auto window = window_of(x, options);
    const auto taps = weight.contiguous();
    const auto d_taps = at::empty_like(taps);
    const bool normalized = saved.state.coefficients.defined();
    const ReadAs read{.coefficients = saved.state.coefficients, .relu = relu};
    cuda::Sums sums{.channels = x.size(1), .d_depthwise = written(d_taps)};
    DepthwiseGradients result{.input = empty_image(x.sizes(), x.options())};
    if (normalized) result.batch_norm = ask_for_gradients(sums, x, saved);
    const auto& g = result.input;
    run(x, [&](const cuda::Queue& queue, const cuda::Kernels& kernels) {
      const int wanted = cuda::backward_width(x.element_size());
      const int width = width_for(wanted, {dy, x, g, added});
      const auto plan = lines_plan(queue, x, width, true, by_pairs(x, options, width, wanted));
      const std::int64_t rows = cuda::kDepthwiseSums + (normalized ? cuda::kBatchNormSums : 0);
      const auto partial = partial_sums(x, plan.parts, rows);
      kernels.depthwise_backward(queue, plan, dy.const_data_ptr(), in(x), g.mutable_data_ptr(),
                                 window, on_load(read), parameter(taps),
                                 added.defined() ? added.const_data_ptr() : nullptr,
                                 partial.mutable_data_ptr<double>());
      sums.partial = partial.const_data_ptr<double>();
      sums.parts = plan.parts;
      kernels.finish_sums(queue, sums);
    });
    // With the weight's strides, as autograd likes gradients.
    result.weight = weight.is_contiguous() ? d_taps : at::empty_like(weight).copy_(d_taps);
    return result;
  }

  Pooled pool_forward(const at::Tensor& x, const at::Tensor& residual, const WindowOptions& options,
                      bool with_index) const override {
    return pool(x, cuda::row_width(x.element_size()), {}, residual, options, with_index);
  }

  at::Tensor pool_backward(const at::Tensor& dy, const at::Tensor& index,
                           at::IntArrayRef input_sizes,
                           const WindowOptions& options) const override {
    const auto dx = empty_image(input_sizes, dy.options());
    run(dy, [&](const cuda::Queue& queue, const cuda::Kernels& kernels) {
      const int width = pool_width(cuda::row_width(dy.element_size()), {dy, dx}, index);
      kernels.pool_backward(queue, lines_plan(queue, dx, width, false), dy.const_data_ptr(),
                            index.const_data_ptr<std::uint8_t>(), nullptr, dx.mutable_data_ptr(),
                            window_of(dx, options), {});
    });
    return dx;
  }

  Pooled bn_pool_forward(const at::Tensor& x, const ReadAs& read, const at::Tensor& residual,
                         const WindowOptions& options, bool with_index) const override {
    return pool(x, cuda::forward_width(x.element_size()), read, residual, options, with_index);
  }

  at::Tensor bn_pool_backward(const at::Tensor& dy, const at::Tensor& index, const at::Tensor& x,
                              const ReadAs& read, const at::Tensor& input_gradient,
                              const WindowOptions& options) const override {
    const auto dx = empty_image(x.sizes(), x.options());
    const raw::BatchNormGradient gradient{.load = on_load(read),
                                          .slope = coefficient(input_gradient, 0),
                                          .offset = coefficient(input_gradient, 1)};
    run(dy, [&](const cuda::Queue& queue, const cuda::Kernels& kernels) {
      const int width = pool_width(cuda::forward_width(x.element_size()), {dy, x, dx}, index);
      kernels.pool_backward(queue, lines_plan(queue, dx, width, false), dy.const_data_ptr(),
                            index.const_data_ptr<std::uint8_t>(), x.const_data_ptr(),
                            dx.mutable_data_ptr(), window_of(x, options), gradient);
    });
    return dx;
  }

  at::Tensor average(const at::Tensor& x, const at::Tensor& to) const override {
    const auto y = to.defined() ? to : empty_image(x.sizes(), x.options());
    run(x, [&](const cuda::Queue& queue, const cuda::Kernels& kernels) {
      const int width = width_for(cuda::forward_width(x.element_size()), {x, y});
      kernels.average(queue, lines_plan(queue, y, width, false), in(x), out(y), window_of(x, {}));
    });
    return y;
  }

  at::Tensor average_backward(const at::Tensor& dy, at::IntArrayRef input_sizes, std::int64_t size,
                              std::int64_t stride) const override {
    const auto dx = empty_image(input_sizes, dy.options());
    const raw::Window window{.height = dx.size(2),
                             .width = dx.size(3),
                             .channels = dx.size(1),
                             .out_height = dy.size(2),
                             .out_width = dy.size(3),
                             .stride = stride};
    run(dy, [&](const cuda::Queue& queue, const cuda::Kernels& kernels) {
      const int width = width_for(cuda::forward_width(dy.element_size()), {dy, dx});
      kernels.average_backward(queue, lines_plan(queue, dx, width, false), dy.const_data_ptr(),
                               dx.mutable_data_ptr(), window, static_cast<int>(size));
    });
    return dx;
  }

  at::Tensor image_rows(const at::Tensor& columns, const at::Tensor& rows, const at::Tensor& scale,
                        const at::Tensor& offset, at::ScalarType dtype) const override {
    const auto y = image_for_rows(columns, rows, dtype);
    const auto of = image_rows_of(columns, rows, scale, offset, y);
    run(y, [&](const cuda::Queue& queue, const cuda::Kernels& kernels) {
      int width = cuda::forward_width(y.element_size());
      for (const at::Tensor& lines : {columns, y}) {
        width = cuda::aligned_width(width, of.values, lines.element_size(),
                                    reinterpret_cast<std::uintptr_t>(lines.const_data_ptr()));
      }
      kernels.image_rows(queue, cuda::plan_image_rows(y.size(0) * y.size(2), width), of,
                         y.mutable_data_ptr());
    });
    return y;
  }

  void update(const UpdateArguments& arguments) const override {
    const auto pointer = [](const at::Tensor& scalar) {
      return scalar.defined() ? parameter(scalar) : cuda::Parameter();
    };
    const auto& scalars = arguments.scalars;
    const cuda::UpdatePointers pointers{.lr = pointer(scalars.lr),
                                        .step = pointer(scalars.step),
                                        .inverse_scale = pointer(scalars.inverse_scale),
                                        .found_inf = pointer(scalars.found_inf)};
    const auto& any = arguments.updates.front().gradient;
    run(any, [&](const cuda::Queue& queue, const cuda::Kernels& kernels) {
      cuda::Updates updates;
      const auto launch = [&] {
        if (updates.blocks > 0) kernels.update(queue, updates, arguments.rule, pointers);
        updates = {};
      };
      for (const auto& update : arguments.updates) {
        if (update.parameter.numel() == 0) continue;
        if (updates.count == cuda::Updates::kMost) launch();
        updates.add(raw_update(update), any.element_size(), update.parameter.element_size());
      }
      launch();
    });
  }

 private:
  static int pool_width(int wanted, const Images& images, const at::Tensor& index) {
    const int width = width_for(wanted, images);
    return width_for(width, {index}) == width || !index.defined() ? width : 1;
  }

  [[nodiscard]] Pooled pool(const at::Tensor& x, int wanted, const ReadAs& read,
                            const at::Tensor& residual, const WindowOptions& options,
                            bool with_index) const {
    const auto window = window_of(x, options);
    Pooled pooled{.values = empty_image({x.size(0), x.size(1), window.out_height, window.out_width},
                                        x.options())};
    const auto& y = pooled.values;
    if (with_index) pooled.index = empty_image(y.sizes(), x.options().dtype(at::kByte));
    auto* index = with_index ? pooled.index.mutable_data_ptr<std::uint8_t>() : nullptr;
    if (with_index && read.coefficients.defined())
      pooled.source = empty_image(y.sizes(), x.options());
    auto* source = pooled.source.defined() ? pooled.source.mutable_data_ptr() : nullptr;
    run(x, [&](const cuda::Queue& queue, const cuda::Kernels& kernels) {
      const int width = pool_width(wanted, {x, residual, y, pooled.source}, pooled.index);
      kernels.pool_forward(queue, lines_plan(queue, y, width, false), x.const_data_ptr(),
                           on_load(read), at_element(residual, 0), y.mutable_data_ptr(), index,
                           source, window);
    });
    return pooled;
  }

  template <typename Work>
  void run(const at::Tensor& x, const Work& work) const {
    const auto& kernels = place_.kernels(dtype_of(x));
    place_.with_queue(x, [&](const cuda::Queue& queue) { work(queue, kernels); });
  }

  const CudaBackend& place_;
};

}  // namespace

std::unique_ptr<const Operations> make_cuda_operations(const CudaBackend& place) {
  return std::make_unique<CudaOperations>(place);
}

}  // namespace xception
