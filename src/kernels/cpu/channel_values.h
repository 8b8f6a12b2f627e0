#pragma once

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "../batch_norm_math.h"
#include "tensor_access.h"
#include "xception/kernels/bn_act.h"

// What a channel has, parameters, statistics and sums, between tensors and the CPU's kernels.
namespace xception {

inline std::vector<Moments> batch_moments(const at::Tensor& x) {
  const std::int64_t rows = rows_of(x);
  const std::int64_t channels = x.size(1);
  const std::int64_t parts = parts_of(rows, x.numel());
  std::vector<double> means(static_cast<std::size_t>(parts * channels));
  std::vector<double> m2s(means.size());
  std::vector<double> counts(static_cast<std::size_t>(parts));
  in_parts(rows, parts, [&](std::int64_t part, std::int64_t first, std::int64_t last) {
    Scratch scratch(3 * cpu::padded(channels));
    kernels_for(x).statistics(rows_from(x, first), {.count = last - first, .channels = channels},
                              means.data() + part * channels, m2s.data() + part * channels,
                              scratch.data());
    counts[static_cast<std::size_t>(part)] = static_cast<double>(last - first);
  });
  std::vector<Moments> moments(static_cast<std::size_t>(channels));
  for (std::size_t i = 0; i < means.size(); ++i) {
    const std::size_t c = i % moments.size();
    moments[c].merge({counts[i / moments.size()], means[i], m2s[i]});
  }
  return moments;
}

inline void update_running(const std::vector<Moments>& moments, const BatchNormArguments& bn) {
  auto means = doubles(bn.running_mean);
  auto variances = doubles(bn.running_var);
  for (std::size_t c = 0; c < moments.size(); ++c) {
    const double unbiased = moments[c].m2 / (moments[c].count - 1.0);
    means[c] = running_update(means[c], moments[c].mean, bn.momentum);
    variances[c] = running_update(variances[c], unbiased, bn.momentum);
  }
  const auto size = static_cast<std::int64_t>(moments.size());
  const auto put = [size](const at::Tensor& to, std::vector<double>& values) {
    to.copy_(at::from_blob(values.data(), {size}, at::kDouble));
  };
  put(bn.running_mean, means);
  put(bn.running_var, variances);
}

/// sums: (2, C).
inline BatchNormGradients gradients_of(const double* sums, const at::Tensor& x,
                                       const BatchNormSaved& saved) {
  const std::int64_t channels = x.size(1);
  const auto weight = doubles(saved.weight);
  const auto* mean = saved.state.statistics.const_data_ptr<double>();
  const double count = saved.training ? static_cast<double>(count_of(saved, x)) : 0.0;
  const auto options = saved.weight.options().dtype(at::kDouble);
  const auto d_parameters = at::empty({2, channels}, options);
  const auto input = at::empty({2, channels}, options.dtype(arithmetic_of(x)));
  auto* d = d_parameters.mutable_data_ptr<double>();
  with_arithmetic(x, [&]<typename A>(A /*tag*/) {
    auto* in = input.mutable_data_ptr<A>();
    for (std::int64_t c = 0; c < channels; ++c) {
      const auto gradient =
          channel_gradient<A>(sums[c], sums[channels + c], mean[c], mean[channels + c],
                              weight[static_cast<std::size_t>(c)], count);
      d[c] = gradient.weight;
      d[channels + c] = gradient.bias;
      in[c] = static_cast<A>(gradient.slope);
      in[channels + c] = static_cast<A>(gradient.offset);
    }
  });
  const auto dtype = saved.weight.scalar_type();
  return {.weight = d_parameters[0].to(dtype), .bias = d_parameters[1].to(dtype), .input = input};
}

/// (C, 1, 3, 3) as A (9, padded C).
inline std::vector<double> packed_weight(const at::Tensor& weight, const at::Tensor& x) {
  const auto values = doubles(weight.contiguous());
  const std::int64_t channels = weight.size(0);
  const std::int64_t stride = cpu::padded(channels);
  std::vector<double> packed(static_cast<std::size_t>(9 * stride));
  with_arithmetic(x, [&]<typename A>(A /*tag*/) {
    auto* to = reinterpret_cast<A*>(packed.data());
    for (std::int64_t c = 0; c < channels; ++c) {
      for (std::int64_t k = 0; k < 9; ++k) {
        to[k * stride + c] = static_cast<A>(values[static_cast<std::size_t>(c * 9 + k)]);
      }
    }
  });
  return packed;
}

/// sums: (9, C) -> (C, 1, 3, 3), with the weight's strides.
inline at::Tensor weight_gradient(const double* sums, const at::Tensor& weight) {
  const std::int64_t channels = weight.size(0);
  const auto gradient = at::empty({channels, 1, 3, 3}, weight.options().dtype(at::kDouble));
  auto* to = gradient.mutable_data_ptr<double>();
  for (std::int64_t c = 0; c < channels; ++c) {
    for (std::int64_t k = 0; k < 9; ++k) to[c * 9 + k] = sums[k * channels + c];
  }
  return at::empty_like(weight).copy_(gradient);
}

/// x where a pool's maxima were. index: (N, C, H', W')
inline at::Tensor at_places(const at::Tensor& x, const at::Tensor& index,
                            const WindowOptions& options) {
  const auto places = index.to(at::kLong);
  const auto first = [&](std::int64_t size) {
    return at::arange(size, at::kLong).mul_(options.stride).sub_(options.padding);
  };
  const auto row = places.div(3, "floor").add_(first(index.size(2)).unsqueeze(1));
  const auto column = places.remainder(3).add_(first(index.size(3)));
  const auto place = row.mul_(x.size(3)).add_(column);
  return x.flatten(2)
      .gather(2, place.flatten(2))
      .view(index.sizes())
      .contiguous(at::MemoryFormat::ChannelsLast);
}

}  // namespace xception
