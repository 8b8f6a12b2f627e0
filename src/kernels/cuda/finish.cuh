#pragma once

#include "../batch_norm_math.h"
#include "device.cuh"

// The small kernels behind the large ones: from partial sums to what they are for, one value a
// channel, in double. Blocks of kFinishChannels channels by kFinishThreads threads, each of which
// takes every kFinishThreads-th part.
namespace xception::cuda {
namespace {

constexpr int kFinishChannels = 8;
constexpr int kFinishThreads = 32;

inline Grid finish_grid(std::int64_t channels) {
  return {.blocks = quotient(channels, kFinishChannels),
          .threads_x = kFinishChannels,
          .threads_y = kFinishThreads};
}

/// Writes the statistics of a channel, and the coefficients that normalize with them.
template <typename A>
__device__ __forceinline__ void put_statistics(const Normalization& to, std::int64_t channels,
                                               std::int64_t c, double mean, double variance) {
  const double invstd = 1.0 / sqrt(variance + to.eps);
  to.statistics[c] = mean;
  to.statistics[channels + c] = invstd;
  const auto of = channel_scale<A>(mean, invstd, get(to.weight, c), get(to.bias, c));
  auto* coefficients = static_cast<A*>(to.coefficients);
  coefficients[c] = static_cast<A>(of.center);
  coefficients[channels + c] = static_cast<A>(of.scale);
  coefficients[2 * channels + c] = static_cast<A>(of.shift);
}

/// Adds kRows rows of partial sums, those that are there, over a thread's parts; several parts are
/// read before they are added. add(part, values)
template <int kRows, typename Add>
__device__ __forceinline__ void over_parts(const double* __restrict__ partial, std::int64_t parts,
                                           std::int64_t channels, int rows, const Add& add) {
  constexpr int kAhead = kRows > 4 ? 2 : 8;
  const std::int64_t size = rows * channels;
  const auto take = [&](std::int64_t part, double(&values)[kRows]) {
#pragma unroll
    for (int row = 0; row < kRows; ++row) {
      values[row] = row < rows ? partial[part * size + row * channels] : 0.0;
    }
  };
  std::int64_t part = threadIdx.y;
  for (; part + (kAhead - 1) * kFinishThreads < parts; part += kAhead * kFinishThreads) {
    double values[kAhead][kRows];
#pragma unroll
    for (int i = 0; i < kAhead; ++i) take(part + i * kFinishThreads, values[i]);
#pragma unroll
    for (int i = 0; i < kAhead; ++i) add(part + i * kFinishThreads, values[i]);
  }
  for (; part < parts; part += kFinishThreads) {
    double values[kRows];
    take(part, values);
    add(part, values);
  }
}

/// Distances from the first part's mean, or from 0 where that isn't finite, so that no part needs a
/// division: of m2, what the parts' means add is a difference of two small sums.
template <typename A>
__global__ void __launch_bounds__(kThreads)
    finish_statistics(RowsPlan plan, const double* __restrict__ partial, Normalization to) {
  constexpr int kSums = 3;
  XCEPTION_SHARED(double, shared, kSums* kFinishThreads* kFinishChannels);
  const std::int64_t c = static_cast<std::int64_t>(blockIdx.x) * kFinishChannels + threadIdx.x;
  const bool active = c < plan.channels;
  const auto rows_of = [&](std::int64_t part) {
    const std::int64_t left = plan.rows - part * plan.rows_per_part;
    return static_cast<double>(left < plan.rows_per_part ? left : plan.rows_per_part);
  };
  double pivot = active ? partial[c] : 0.0;
  if (pivot - pivot != 0.0) pivot = 0.0;
  double own[kSums] = {};  // of distances, of their squares, of m2
  if (active) {
    over_parts<static_cast<int>(kBatchNormSums)>(
        partial + c, plan.parts, plan.channels, static_cast<int>(kBatchNormSums),
        [&](std::int64_t part, const double(&moments)[kBatchNormSums]) {
          const double distance = moments[0] - pivot;
          const double weighted = rows_of(part) * distance;
          own[0] += weighted;
          own[1] += weighted * distance;
          own[2] += moments[1];
        });
  }
  const int thread =
      static_cast<int>(threadIdx.y) * kFinishChannels + static_cast<int>(threadIdx.x);
  const auto put = [&] {
#pragma unroll
    for (int i = 0; i < kSums; ++i) shared[thread * kSums + i] = own[i];
  };
  put();
  for (int half = kFinishThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (static_cast<int>(threadIdx.y) < half) {
      const double* from = shared + (thread + half * kFinishChannels) * kSums;
#pragma unroll
      for (int i = 0; i < kSums; ++i) own[i] += from[i];
      put();
    }
  }
  if (threadIdx.y != 0 || !active) return;
  const auto rows = static_cast<double>(plan.rows);
  const double mean = pivot + own[0] / rows;
  const double between = own[1] - own[0] * (own[0] / rows);
  const double m2 = own[2] + (between < 0.0 ? 0.0 : between);  // NaN stays
  put_statistics<A>(to, plan.channels, c, mean, m2 / rows);
  set(to.running_mean, c, running_update(get(to.running_mean, c), mean, to.momentum));
  set(to.running_var, c, running_update(get(to.running_var, c), m2 / (rows - 1.0), to.momentum));
}

template <typename A>
__global__ void __launch_bounds__(kThreads)
    constant_statistics(std::int64_t channels, Normalization to) {
  const std::int64_t c = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (c >= channels) return;
  put_statistics<A>(to, channels, c, get(to.running_mean, c), get(to.running_var, c));
}

template <typename A>
__device__ __forceinline__ void put_gradients(const Sums& of, std::int64_t c, double sum,
                                              double centered) {
  const auto gradient = channel_gradient<A>(
      sum, centered, of.statistics[c], of.statistics[of.channels + c], get(of.weight, c), of.count);
  set(of.d_weight, c, gradient.weight);
  set(of.d_bias, c, gradient.bias);
  auto* input = static_cast<A*>(of.input);
  input[c] = static_cast<A>(gradient.slope);
  input[of.channels + c] = static_cast<A>(gradient.offset);
}

template <typename A>
__global__ void __launch_bounds__(kThreads) finish_sums(Sums of) {
  constexpr int kRows = static_cast<int>(kDepthwiseSums + kBatchNormSums);
  XCEPTION_SHARED(double, shared, kRows* kFinishThreads* kFinishChannels);
  XCEPTION_SHARED(double, totals, kRows* kFinishChannels);
  const int depthwise = of.d_depthwise.data == nullptr ? 0 : static_cast<int>(kDepthwiseSums);
  const int rows = depthwise + (of.d_weight.data == nullptr ? 0 : static_cast<int>(kBatchNormSums));
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kFinishChannels;
  const std::int64_t c = first + threadIdx.x;
  const int thread =
      static_cast<int>(threadIdx.y) * kFinishChannels + static_cast<int>(threadIdx.x);
  double own[kRows] = {};
  if (c < of.channels) {
    over_parts<kRows>(of.partial + c, of.parts, of.channels, rows,
                      [&](std::int64_t, const double(&values)[kRows]) {
#pragma unroll
                        for (int row = 0; row < kRows; ++row) own[row] += values[row];
                      });
  }
#pragma unroll
  for (int row = 0; row < kRows; ++row) {
    shared[row * kFinishThreads * kFinishChannels + thread] = own[row];
  }
  __syncthreads();
  const int row = thread / kFinishChannels;
  const std::int64_t channel = first + thread % kFinishChannels;
  if (row < rows && channel < of.channels) {
    double total = 0.0;
    for (int y = 0; y < kFinishThreads; ++y) {
      total += shared[(row * kFinishThreads + y) * kFinishChannels + thread % kFinishChannels];
    }
    totals[thread] = total;
    if (row < depthwise) set(of.d_depthwise, channel * kDepthwiseSums + row, total);
  }
  __syncthreads();
  if (threadIdx.y != 0 || c >= of.channels || of.d_weight.data == nullptr) return;
  put_gradients<A>(of, c, totals[depthwise * kFinishChannels + static_cast<int>(threadIdx.x)],
                   totals[(depthwise + 1) * kFinishChannels + static_cast<int>(threadIdx.x)]);
}

// ---- launches ----------------------------------------------------------------------------------

template <typename A>
void launch_finish_statistics(const Queue& queue, const RowsPlan& plan, const double* partial,
                              const Normalization& to) {
  launch("finish_statistics", finish_statistics<A>, finish_grid(plan.channels), queue, plan,
         partial, to);
}

template <typename A>
void launch_constant_statistics(const Queue& queue, std::int64_t channels,
                                const Normalization& to) {
  const Grid grid{.blocks = quotient(channels, kThreads), .threads_x = kThreads};
  launch("constant_statistics", constant_statistics<A>, grid, queue, channels, to);
}

template <typename A>
void launch_finish_sums(const Queue& queue, const Sums& sums) {
  launch("finish_sums", finish_sums<A>, finish_grid(sums.channels), queue, sums);
}

}  // namespace
}  // namespace xception::cuda
