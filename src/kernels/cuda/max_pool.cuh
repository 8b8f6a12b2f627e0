#pragma once

#include "lines.cuh"

namespace xception::cuda {
namespace {

constexpr int kPoolStride = 2;

/// The window's maximum, the first of equal values and NaN always, as at::max_pool2d.
template <typename T, int V>
__global__ void __launch_bounds__(kThreads)
    pool_forward(LinesPlan plan, WindowShape w, const T* __restrict__ x,
                 const T* __restrict__ residual, T* __restrict__ y,
                 std::uint8_t* __restrict__ index) {
  using A = Arithmetic<T>;
  const Place<V> place(plan);
  if (!place.active) return;
  for (std::int64_t unit = place.part; unit < plan.units; unit += plan.parts) {
    const Segment segment(plan, unit, w.out_height);
    if (!segment.inside) continue;
    const int top = segment.row * kPoolStride - w.padding;
    const T* image = x + segment.image * w.height * w.width * w.channels + place.channel;
    for (int o = segment.first; o < segment.last; ++o) {
      const int left = o * kPoolStride - w.padding;
      A best[V] = {};
      std::uint8_t taken[V] = {};
      bool first = true;
#pragma unroll
      for (int k = 0; k < 9; ++k) {
        const int row = top + k / 3;
        const int column = left + k % 3;
        if (row < 0 || row >= w.height || column < 0 || column >= w.width) continue;
        A value[V];
        load<V>(image + (static_cast<std::int64_t>(row) * w.width + column) * w.channels, value);
#pragma unroll
        for (int v = 0; v < V; ++v) {
          const bool better = first || value[v] > best[v] || value[v] != value[v];
          best[v] = better ? value[v] : best[v];
          taken[v] = better ? static_cast<std::uint8_t>(k) : taken[v];
        }
        first = false;
      }
      const std::int64_t at = (segment.line * w.out_width + o) * w.channels + place.channel;
      if (index != nullptr) store<V>(index + at, taken);
      if (residual != nullptr) {
        A added[V];
        load<V>(residual + at, added);
#pragma unroll
        for (int v = 0; v < V; ++v) best[v] += added[v];
      }
      store<V>(y + at, best);
    }
  }
}

/// Every position of x gathers from the windows, at most four, that took their maximum there.
template <typename T, int V>
__global__ void __launch_bounds__(kThreads)
    pool_backward(LinesPlan plan, WindowShape w, const T* __restrict__ dy,
                  const std::uint8_t* __restrict__ index, T* __restrict__ dx) {
  using A = Arithmetic<T>;
  const Place<V> place(plan);
  if (!place.active) return;
  for (std::int64_t unit = place.part; unit < plan.units; unit += plan.parts) {
    const Segment segment(plan, unit, w.height);
    if (!segment.inside) continue;
    const std::int64_t image = segment.image * w.out_height * w.out_width;
    for (int i = segment.first; i < segment.last; ++i) {
      A sum[V] = {};
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        // The window above or at the row's half, left of or at the column's.
        const int row = (segment.row + w.padding) / kPoolStride - 1 + k / 2;
        const int column = (i + w.padding) / kPoolStride - 1 + k % 2;
        const int a = segment.row + w.padding - row * kPoolStride;
        const int b = i + w.padding - column * kPoolStride;
        if (row < 0 || row >= w.out_height || column < 0 || column >= w.out_width) continue;
        if (a > 2 || b > 2) continue;
        const std::int64_t at =
            (image + static_cast<std::int64_t>(row) * w.out_width + column) * w.channels +
            place.channel;
        int taken[V];
        A g[V];
        load<V>(index + at, taken);
        load<V>(dy + at, g);
#pragma unroll
        for (int v = 0; v < V; ++v) sum[v] += taken[v] == 3 * a + b ? g[v] : A(0);
      }
      store<V>(dx + (segment.line * w.width + i) * w.channels + place.channel, sum);
    }
  }
}

// ---- launches ----------------------------------------------------------------------------------

template <typename T>
void launch_pool_forward(const Queue& queue, const LinesPlan& plan, const void* x,
                         const void* residual, void* y, std::uint8_t* index, const Window& window) {
  with_width<row_width(sizeof(T))>(plan.width, [&]<int V>() {
    launch("pool_forward", pool_forward<T, V>, plan.grid(), queue, plan, shape_of(window),
           static_cast<const T*>(x), static_cast<const T*>(residual), static_cast<T*>(y), index);
  });
}

template <typename T>
void launch_pool_backward(const Queue& queue, const LinesPlan& plan, const void* dy,
                          const std::uint8_t* index, void* dx, const Window& window) {
  with_width<row_width(sizeof(T))>(plan.width, [&]<int V>() {
    launch("pool_backward", pool_backward<T, V>, plan.grid(), queue, plan, shape_of(window),
           static_cast<const T*>(dy), index, static_cast<T*>(dx));
  });
}

}  // namespace
}  // namespace xception::cuda
