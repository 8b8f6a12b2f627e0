#pragma once

#include "lines.cuh"

namespace xception::cuda {
namespace {

/// The mean of the 3x3 pixels around each, with zeros outside the image. A thread goes along a line
/// and reads every column of its three lines once.
template <typename T, int V>
__global__ void __launch_bounds__(kThreads)
    average(LinesPlan plan, WindowShape w, const T* __restrict__ x, std::int64_t x_stride,
            T* __restrict__ y, std::int64_t y_stride) {
  using A = Arithmetic<T>;
  const Place<V> place(plan);
  if (!place.active) return;
  for (std::int64_t unit = place.part; unit < plan.units; unit += plan.parts) {
    const Segment segment(plan, unit, w.height);
    if (!segment.inside) continue;
    const T* line = x + segment.line * w.width * x_stride + place.channel;
    T* out = y + segment.line * w.width * y_stride + place.channel;
    const auto add_column = [&](int column, A(&sum)[V]) {
#pragma unroll
      for (int v = 0; v < V; ++v) sum[v] = A(0);
      if (column < 0 || column >= w.width) return;
#pragma unroll
      for (int a = -1; a <= 1; ++a) {
        if (segment.row + a < 0 || segment.row + a >= w.height) continue;
        A value[V];
        load<V>(line + (static_cast<std::int64_t>(a) * w.width + column) * x_stride, value);
#pragma unroll
        for (int v = 0; v < V; ++v) sum[v] += value[v];
      }
    };
    A left[V];
    A middle[V];
    A right[V];
    add_column(segment.first - 1, left);
    add_column(segment.first, middle);
    for (int i = segment.first; i < segment.last; ++i) {
      add_column(i + 1, right);
      A mean[V];
#pragma unroll
      for (int v = 0; v < V; ++v) {
        mean[v] = (left[v] + middle[v] + right[v]) / A(9);
        left[v] = middle[v];
        middle[v] = right[v];
      }
      store<V>(out + i * y_stride, mean);
    }
  }
}

/// The first and the last window of `size` positions that a position is in, of `count` windows.
struct Windows {
  int first, last;

  __device__ __forceinline__ Windows(int position, int size, int stride, int count)
      : first(position < size ? 0 : (position - size) / stride + 1), last(position / stride) {
    if (last >= count) last = count - 1;
  }
};

/// Every position gathers from the windows that it is in.
template <typename T, int V>
__global__ void __launch_bounds__(kThreads)
    average_backward(LinesPlan plan, WindowShape w, const T* __restrict__ dy, T* __restrict__ dx,
                     int size) {
  using A = Arithmetic<T>;
  const Place<V> place(plan);
  if (!place.active) return;
  for (std::int64_t unit = place.part; unit < plan.units; unit += plan.parts) {
    const Segment segment(plan, unit, w.height);
    if (!segment.inside) continue;
    const Windows rows(segment.row, size, w.stride, w.out_height);
    const T* image = dy + segment.image * w.out_height * w.out_width * w.channels + place.channel;
    T* to = dx + segment.line * w.width * w.channels + place.channel;
    for (int i = segment.first; i < segment.last; ++i) {
      const Windows columns(i, size, w.stride, w.out_width);
      A sum[V] = {};
      for (int row = rows.first; row <= rows.last; ++row) {
        for (int column = columns.first; column <= columns.last; ++column) {
          A value[V];
          load<V>(image + (static_cast<std::int64_t>(row) * w.out_width + column) * w.channels,
                  value);
#pragma unroll
          for (int v = 0; v < V; ++v) sum[v] += value[v];
        }
      }
#pragma unroll
      for (int v = 0; v < V; ++v) sum[v] /= static_cast<A>(size * size);
      store<V>(to + i * w.channels, sum);
    }
  }
}

// ---- launches ----------------------------------------------------------------------------------

template <typename T>
void launch_average(const Queue& queue, const LinesPlan& plan, In x, Out y, const Window& window) {
  with_width<forward_width(sizeof(T))>(plan.width, [&]<int V>() {
    launch("average", average<T, V>, plan.grid(), queue, plan, shape_of(window),
           static_cast<const T*>(x.data), x.stride, static_cast<T*>(y.data), y.stride);
  });
}

template <typename T>
void launch_average_backward(const Queue& queue, const LinesPlan& plan, const void* dy, void* dx,
                             const Window& window, int size) {
  with_width<forward_width(sizeof(T))>(plan.width, [&]<int V>() {
    launch("average_backward", average_backward<T, V>, plan.grid(), queue, plan, shape_of(window),
           static_cast<const T*>(dy), static_cast<T*>(dx), size);
  });
}

}  // namespace
}  // namespace xception::cuda
