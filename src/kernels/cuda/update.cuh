#pragma once

#include "../update_math.h"
#include "device.cuh"

namespace xception::cuda {
namespace {

/// UpdateNumbers in the dtype of arithmetic.
template <typename A>
struct UpdateValues {
  __device__ __forceinline__ explicit UpdateValues(const UpdateNumbers& of)
      : inverse_scale(static_cast<A>(of.inverse_scale)),
        decay(static_cast<A>(of.decay)),
        momentum(static_cast<A>(of.momentum)),
        ahead(static_cast<A>(of.ahead)),
        first(static_cast<A>(of.first)),
        keep(static_cast<A>(of.keep)),
        second(static_cast<A>(of.second)),
        shrink(static_cast<A>(of.shrink)),
        rate(static_cast<A>(of.rate)),
        root_scale(static_cast<A>(of.root_scale)),
        eps(static_cast<A>(of.eps)) {}

  A inverse_scale, decay, momentum, ahead, first, keep, second, shrink, rate, root_scale, eps;
};

__device__ __forceinline__ float root_of(float v) {
  return sqrtf(v);
}
__device__ __forceinline__ double root_of(double v) {
  return sqrt(v);
}

/// V values of a parameter from i on.
template <typename T, int V, typename A>
__device__ __forceinline__ void update_at(const Update& of, std::int64_t i, UpdateKind kind,
                                          const UpdateValues<A>& values) {
  A p[V], g[V], v[V];
  A m[V] = {};
  auto* parameter = static_cast<A*>(of.parameter) + i;
  auto* first = static_cast<A*>(of.first);
  auto* second = static_cast<A*>(of.second);
  load<V>(parameter, p);
  load<V>(static_cast<const T*>(of.gradient) + i, g);
  if (first != nullptr) load<V>(first + i, m);
#pragma unroll
  for (int k = 0; k < V; ++k) {
    g[k] *= values.inverse_scale;
    if (values.decay != A(0)) g[k] += values.decay * p[k];  // p may be infinite
  }
  if (kind == UpdateKind::sgd) {
#pragma unroll
    for (int k = 0; k < V; ++k) {
      m[k] = values.momentum * m[k] + g[k];
      p[k] -= values.rate * (values.ahead != A(0) ? g[k] + values.ahead * m[k] : m[k]);
    }
  } else {
    load<V>(second + i, v);
#pragma unroll
    for (int k = 0; k < V; ++k) {
      m[k] += values.first * (g[k] - m[k]);
      v[k] = values.keep * v[k] + values.second * g[k] * g[k];
      p[k] = values.shrink * p[k] -
             values.rate * m[k] / (root_of(v[k]) * values.root_scale + values.eps);
    }
    store<V>(second + i, v);
  }
  if (first != nullptr) store<V>(first + i, m);
  store<V>(parameter, p);
  if (of.copy != nullptr) store<V>(static_cast<T*>(of.copy) + i, p);
}

/// An update rule's factors in this step, from its learning rate, number and loss scale.
__device__ __forceinline__ UpdateNumbers numbers_of_step(const UpdateRule& rule,
                                                         const UpdatePointers& pointers) {
  const bool is_sgd = rule.kind == UpdateKind::sgd;
  return update_numbers(
      rule, get(pointers.lr, 0), is_sgd ? 1.0 : get(pointers.step, 0),
      pointers.inverse_scale.data == nullptr ? 1.0 : get(pointers.inverse_scale, 0),
      [](double x, double y) { return pow(x, y); }, [](double x) { return sqrt(x); });
}

template <typename T, int V>
__global__ void __launch_bounds__(kThreads)
    update(Updates updates, UpdateRule rule, UpdatePointers pointers) {
  using A = Arithmetic<T>;
  if (pointers.found_inf.data != nullptr && get(pointers.found_inf, 0) != 0.0) return;
  // Powers in double are slow on many GPUs: once a block. Shared memory takes no constructors.
  constexpr int kNumbers = sizeof(UpdateNumbers) / sizeof(double);
  XCEPTION_SHARED(double, shared, kNumbers);
  const int thread = static_cast<int>(threadIdx.x);
  if (thread == 0) {
    *reinterpret_cast<UpdateNumbers*>(shared) = numbers_of_step(rule, pointers);
  }
  __syncthreads();
  const UpdateValues<A> values(*reinterpret_cast<const UpdateNumbers*>(shared));

  int item = 0;
  const auto block = static_cast<std::int64_t>(blockIdx.x);
  while (item + 1 < updates.count && block >= updates.first_block[item + 1]) ++item;
  const Update& of = updates.of[item];
  const std::int64_t begin = (block - updates.first_block[item]) * kUpdateValues;
  const std::int64_t end = begin + kUpdateValues < of.count ? begin + kUpdateValues : of.count;
  std::int64_t scalars_from = begin;
  if (updates.by_vectors[item]) {
    scalars_from = end - end % V;  // kUpdateValues is a multiple of V
    for (std::int64_t i = begin + thread * V; i < scalars_from; i += kThreads * V) {
      update_at<T, V>(of, i, rule.kind, values);
    }
  }
  for (std::int64_t i = scalars_from + thread; i < end; i += kThreads) {
    update_at<T, 1>(of, i, rule.kind, values);
  }
}

template <typename T>
void launch_update(const Queue& queue, const Updates& updates, const UpdateRule& rule,
                   const UpdatePointers& pointers) {
  const Grid grid{.blocks = updates.blocks, .threads_x = kThreads, .threads_y = 1};
  launch("update", update<T, forward_width(sizeof(T))>, grid, queue, updates, rule, pointers);
}

}  // namespace
}  // namespace xception::cuda
