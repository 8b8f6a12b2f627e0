#include "../operations.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/avg_pool2d_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "channel_values.h"
#include "xception/kernels/bn_act.h"

namespace xception {
namespace {

class CpuOperations : public Operations {
 public:
  BatchNormState statistics(const at::Tensor& x, const BatchNormArguments& bn) const override {
    const std::int64_t channels = x.size(1);
    const auto options = x.options().dtype(at::kDouble).memory_format(c10::nullopt);
    const auto statistics = at::empty({2, channels}, options);
    auto* mean = statistics.mutable_data_ptr<double>();
    auto* invstd = mean + channels;
    std::vector<double> variance;
    if (bn.training) {
      const auto moments = batch_moments(x);
      for (std::int64_t c = 0; c < channels; ++c) {
        const auto& of = moments[static_cast<std::size_t>(c)];
        mean[c] = of.mean;
        invstd[c] = 1.0 / std::sqrt(of.m2 / of.count + bn.eps);
      }
      update_running(moments, bn);
    } else {
      const auto means = doubles(bn.running_mean);
      const auto variances = doubles(bn.running_var);
      for (std::int64_t c = 0; c < channels; ++c) {
        mean[c] = means[static_cast<std::size_t>(c)];
        invstd[c] = 1.0 / std::sqrt(variances[static_cast<std::size_t>(c)] + bn.eps);
      }
    }
    const auto coefficients = at::empty({3, channels}, options.dtype(arithmetic_of(x)));
    const auto weight = doubles(bn.weight);
    const auto bias = doubles(bn.bias);
    with_arithmetic(x, [&]<typename A>(A /*tag*/) {
      auto* to = coefficients.mutable_data_ptr<A>();
      for (std::int64_t c = 0; c < channels; ++c) {
        const auto i = static_cast<std::size_t>(c);
        const auto of = channel_scale<A>(mean[c], invstd[c], weight[i], bias[i]);
        to[c] = static_cast<A>(of.center);
        to[channels + c] = static_cast<A>(of.scale);
        to[2 * channels + c] = static_cast<A>(of.shift);
      }
    });
    return {.coefficients = coefficients, .statistics = statistics};
  }

  at::Tensor bn_forward(const at::Tensor& x, const at::Tensor& residual, const ReadAs& read,
                        const at::Tensor& to) const override {
    auto y = to.defined() ? to : empty_image(x.sizes(), x.options());
    const std::int64_t rows = rows_of(x);
    const std::int64_t channels = x.size(1);
    in_parts(rows, parts_of(rows, x.numel()),
             [&](std::int64_t /*part*/, std::int64_t first, std::int64_t last) {
               kernels_for(x).bn_forward(
                   rows_from(x, first), rows_from(residual, first), rows_to(y, first),
                   {.count = last - first, .channels = channels}, on_load(read));
             });
    return y;
  }

  BatchNormGradients bn_reduce(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& output,
                               const BatchNormSaved& saved, bool relu) const override {
    const std::int64_t rows = rows_of(x);
    const std::int64_t channels = x.size(1);
    const std::int64_t parts = parts_of(rows, x.numel());
    const ReadAs read{.coefficients = saved.state.coefficients, .relu = relu};
    std::vector<double> sums(static_cast<std::size_t>(parts * 2 * channels));
    in_parts(rows, parts, [&](std::int64_t part, std::int64_t first, std::int64_t last) {
      Scratch scratch(2 * cpu::padded(channels));
      double* own = sums.data() + part * 2 * channels;
      kernels_for(x).bn_reduce(rows_from(dy, first), rows_from(x, first), rows_from(output, first),
                               {.count = last - first, .channels = channels}, on_load(read), own,
                               own + channels, scratch.data());
    });
    return gradients_of(added(sums, 2 * channels).data(), x, saved);
  }

  at::Tensor bn_backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& output,
                         const ReadAs& read, const at::Tensor& input_gradient,
                         const at::Tensor& d_residual, const at::Tensor& to) const override {
    auto dx = to.defined() ? to : empty_image(x.sizes(), x.options());
    const std::int64_t rows = rows_of(x);
    const std::int64_t channels = x.size(1);
    const raw::BatchNormGradient gradient{.load = on_load(read),
                                          .slope = coefficient(input_gradient, 0),
                                          .offset = coefficient(input_gradient, 1)};
    in_parts(rows, parts_of(rows, x.numel()),
             [&](std::int64_t /*part*/, std::int64_t first, std::int64_t last) {
               kernels_for(x).bn_backward(rows_from(dy, first), rows_from(x, first),
                                          rows_from(output, first), rows_to(dx, first),
                                          rows_to(d_residual, first),
                                          {.count = last - first, .channels = channels}, gradient);
             });
    return dx;
  }

  at::Tensor depthwise_forward(const at::Tensor& x, const ReadAs& read, const at::Tensor& weight,
                               const WindowOptions& options) const override {
    const auto window = window_of(x, options);
    auto y = empty_image({x.size(0), x.size(1), window.out_height, window.out_width}, x.options());
    const auto packed = packed_weight(weight, x);
    in_parts(x.size(0), parts_of(x.size(0), x.numel()),
             [&](std::int64_t /*part*/, std::int64_t first, std::int64_t last) {
               Scratch scratch(cpu::depthwise_scratch(window));
               kernels_for(x).depthwise_forward(x.const_data_ptr(), y.mutable_data_ptr(), first,
                                                last, window, on_load(read), packed.data(),
                                                scratch.data());
             });
    return y;
  }

  DepthwiseGradients depthwise_backward(const at::Tensor& dy, const at::Tensor& x,
                                        const BatchNormSaved& saved, bool relu,
                                        const at::Tensor& weight, const WindowOptions& options,
                                        const at::Tensor& added_gradient) const override {
    const auto window = window_of(x, options);
    const ReadAs read{.coefficients = saved.state.coefficients, .relu = relu};
    auto g = empty_image(x.sizes(), x.options());
    const auto packed = packed_weight(weight, x);
    const std::int64_t channels = x.size(1);
    const std::int64_t parts = parts_of(x.size(0), x.numel());
    std::vector<double> sums(static_cast<std::size_t>(parts * 11 * channels));
    in_parts(x.size(0), parts, [&](std::int64_t part, std::int64_t first, std::int64_t last) {
      Scratch scratch(cpu::depthwise_scratch(window));
      double* own = sums.data() + part * 11 * channels;
      kernels_for(x).depthwise_backward(
          dy.const_data_ptr(), x.const_data_ptr(), g.mutable_data_ptr(), first, last, window,
          on_load(read), packed.data(),
          {.weight = own, .gradient = own + 9 * channels, .centered = own + 10 * channels},
          scratch.data());
    });
    const auto total = added(sums, 11 * channels);
    DepthwiseGradients result{.input = g, .weight = weight_gradient(total.data(), weight)};
    if (saved.state.coefficients.defined()) {
      result.batch_norm = gradients_of(total.data() + 9 * channels, x, saved);
    }
    if (added_gradient.defined()) g.add_(added_gradient);
    return result;
  }

  Pooled pool_forward(const at::Tensor& x, const at::Tensor& residual, const WindowOptions& options,
                      bool with_index) const override {
    const auto window = window_of(x, options);
    Pooled pooled{.values = empty_image({x.size(0), x.size(1), window.out_height, window.out_width},
                                        x.options())};
    if (with_index) pooled.index = empty_image(pooled.values.sizes(), x.options().dtype(at::kByte));
    auto* index = with_index ? pooled.index.mutable_data_ptr<std::uint8_t>() : nullptr;
    in_parts(x.size(0), parts_of(x.size(0), x.numel()),
             [&](std::int64_t /*part*/, std::int64_t first, std::int64_t last) {
               kernels_for(x).pool_forward(x.const_data_ptr(), at_element(residual, 0),
                                           pooled.values.mutable_data_ptr(), index, first, last,
                                           window);
             });
    return pooled;
  }

  at::Tensor pool_backward(const at::Tensor& dy, const at::Tensor& index,
                           at::IntArrayRef input_sizes,
                           const WindowOptions& options) const override {
    auto dx = empty_image(input_sizes, dy.options());
    const auto window = window_of(dx, options);
    in_parts(dx.size(0), parts_of(dx.size(0), dx.numel()),
             [&](std::int64_t /*part*/, std::int64_t first, std::int64_t last) {
               kernels_for(dx).pool_backward(dy.const_data_ptr(),
                                             index.const_data_ptr<std::uint8_t>(),
                                             dx.mutable_data_ptr(), first, last, window);
             });
    return dx;
  }

  // In several passes, and without rounding between them, as the GPU's one; the networks use the
  // two operations themselves on a CPU.
  Pooled bn_pool_forward(const at::Tensor& x, const ReadAs& read, const at::Tensor& residual,
                         const WindowOptions& options, bool with_index) const override {
    const auto wide = [&](const at::Tensor& image) {
      return image.defined() ? image.to(arithmetic_of(x)) : image;
    };
    const auto normalized = bn_forward(wide(x), /*residual=*/{}, read, /*to=*/{});
    auto pooled = pool_forward(normalized, wide(residual), options, with_index);
    pooled.values = pooled.values.to(x.scalar_type());
    if (with_index) pooled.source = at_places(x, pooled.index, options);
    return pooled;
  }

  at::Tensor bn_pool_backward(const at::Tensor& dy, const at::Tensor& index, const at::Tensor& x,
                              const ReadAs& read, const at::Tensor& input_gradient,
                              const WindowOptions& options) const override {
    const auto d_normalized = pool_backward(dy, index, x.sizes(), options);
    return bn_backward(d_normalized, x, /*output=*/{}, read, input_gradient, /*d_residual=*/{},
                       /*to=*/{});
  }

  at::Tensor average(const at::Tensor& x, const at::Tensor& to) const override {
    auto y = at::avg_pool2d(x, /*kernel_size=*/3, /*stride=*/1, /*padding=*/1)
                 .contiguous(at::MemoryFormat::ChannelsLast);
    return to.defined() ? to.copy_(y) : y;
  }

  at::Tensor average_backward(const at::Tensor& dy, at::IntArrayRef input_sizes, std::int64_t size,
                              std::int64_t stride) const override {
    // It reads nothing of x but its shape and format.
    const auto x = empty_image(input_sizes, dy.options());
    return at::avg_pool2d_backward(dy, x, size, stride, /*padding=*/0, /*ceil_mode=*/false,
                                   /*count_include_pad=*/true, /*divisor_override=*/c10::nullopt);
  }

  at::Tensor image_rows(const at::Tensor& columns, const at::Tensor& rows, const at::Tensor& scale,
                        const at::Tensor& offset, at::ScalarType dtype) const override {
    auto y = image_for_rows(columns, rows, dtype);
    const auto of = image_rows_of(columns, rows, scale, offset, y);
    const std::int64_t lines = y.size(0) * y.size(2);
    in_parts(lines, parts_of(lines, y.numel()),
             [&](std::int64_t /*part*/, std::int64_t first, std::int64_t last) {
               kernels_for(y).image_rows(of, y.mutable_data_ptr(), first, last);
             });
    return y;
  }

  void update(const UpdateArguments& arguments) const override {
    const auto& scalars = arguments.scalars;
    const auto value = [](const at::Tensor& scalar, double unless) {
      return scalar.defined() ? scalar.item<double>() : unless;
    };
    if (value(scalars.found_inf, 0.0) != 0.0) return;
    const auto numbers = update_numbers(
        arguments.rule, value(scalars.lr, 0.0), value(scalars.step, 1.0),
        value(scalars.inverse_scale, 1.0), [](double x, double y) { return std::pow(x, y); },
        [](double x) { return std::sqrt(x); });
    const auto& updates = arguments.updates;
    std::vector<std::int64_t> begins;  // of each parameter among the values of all
    std::int64_t values = 0;
    for (const auto& update : updates) {
      begins.push_back(values);
      values += update.parameter.numel();
    }
    in_parts(values, parts_of(values, values),
             [&](std::int64_t /*part*/, std::int64_t first, std::int64_t last) {
               for (std::size_t i = 0; i < updates.size(); ++i) {
                 const auto from = std::max<std::int64_t>(first - begins[i], 0);
                 const auto to = std::min(last - begins[i], updates[i].parameter.numel());
                 if (from >= to) continue;
                 kernels_for(updates[i].gradient)
                     .update(raw_update(updates[i]), arguments.rule.kind, numbers, from, to);
               }
             });
  }
};

}  // namespace

const Operations& cpu_operations() {
  static const CpuOperations operations;
  return operations;
}

}  // namespace xception
