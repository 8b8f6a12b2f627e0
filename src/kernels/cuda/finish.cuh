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

template <typename A>
__global__ void __launch_bounds__(kThreads)
    finish_statistics(RowsPlan plan, const double* __restrict__ partial, Normalization to) {
  constexpr int kMoments = 3;  // shared memory takes nothing that has a constructor
  XCEPTION_SHARED(double, shared, kMoments* kFinishThreads* kFinishChannels);
  const std::int64_t c = static_cast<std::int64_t>(blockIdx.x) * kFinishChannels + threadIdx.x;
  const bool active = c < plan.channels;
  Moments own = {};
  for (std::int64_t part = threadIdx.y; active && part < plan.parts; part += kFinishThreads) {
    const std::int64_t start = part * plan.rows_per_part;
    const std::int64_t left = plan.rows - start;
    const double* from = partial + part * 2 * plan.channels + c;
    own.merge({static_cast<double>(left < plan.rows_per_part ? left : plan.rows_per_part), from[0],
               from[plan.channels]});
  }
  const int thread =
      static_cast<int>(threadIdx.y) * kFinishChannels + static_cast<int>(threadIdx.x);
  const auto put = [&] {
    double* to_shared = shared + thread * kMoments;
    to_shared[0] = own.count;
    to_shared[1] = own.mean;
    to_shared[2] = own.m2;
  };
  put();
  for (int half = kFinishThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (static_cast<int>(threadIdx.y) < half) {
      const double* from = shared + (thread + half * kFinishChannels) * kMoments;
      own.merge({from[0], from[1], from[2]});
      put();
    }
  }
  if (threadIdx.y != 0 || !active) return;
  put_statistics<A>(to, plan.channels, c, own.mean, own.m2 / own.count);
  const double unbiased = own.m2 / (own.count - 1.0);
  set(to.running_mean, c, running_update(get(to.running_mean, c), own.mean, to.momentum));
  set(to.running_var, c, running_update(get(to.running_var, c), unbiased, to.momentum));
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
  for (std::int64_t part = threadIdx.y; c < of.channels && part < of.parts;
       part += kFinishThreads) {
    const double* from = of.partial + part * rows * of.channels + c;
#pragma unroll
    for (int row = 0; row < kRows; ++row) {
      if (row < rows) own[row] += from[row * of.channels];
    }
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
