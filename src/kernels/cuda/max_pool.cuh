#pragma once

#include "lines.cuh"
#include "maximum.cuh"

namespace xception::cuda {
namespace {

constexpr int kPoolStride = 2;

/// BatchNorm's z grows with x, falls with it, or doesn't depend on it.
template <typename A>
__device__ __forceinline__ A direction_of(A scale) {
  return scale > A(0) ? A(1) : (scale < A(0) ? A(-1) : A(0));
}

/// The window's maximum, the first of equal values and NaN always, as at::max_pool2d. With kNorm,
/// the maximum of what BatchNorm and ReLU make of x, found in x itself; `source` gets x there,
/// where not null. A thread goes along a line; two neighboring windows share a column.
template <typename T, int V, bool kNorm>
__global__ void __launch_bounds__(kThreads)
    pool_forward(LinesPlan plan, WindowShape w, const T* __restrict__ x, OnLoad on_load,
                 const T* __restrict__ residual, T* __restrict__ y,
                 std::uint8_t* __restrict__ index, T* __restrict__ source) {
  using A = Arithmetic<T>;
  using Column = Maximum<T>[V];
  const Place<V> place(plan);
  if (!place.active) return;
  Coefficients<A, V> on = {};
  A direction[V] = {};
  bool constant = false;  // there is a channel whose z doesn't depend on x
  if constexpr (kNorm) {
    on.read(on_load, place.channel);
#pragma unroll
    for (int v = 0; v < V; ++v) {
      direction[v] = direction_of(on.scale[v]);
      constant = constant || direction[v] == A(0);
    }
  }
  const A bound = relu_bound<A>(on_load.relu);
  for (std::int64_t unit = place.part; unit < plan.units; unit += plan.parts) {
    const Segment segment(plan, unit, w.out_height);
    if (!segment.inside) continue;
    const int top = segment.row * kPoolStride - w.padding;
    const bool lines[3] = {top >= 0, true, top + 2 < w.height};
    const int first_line = lines[0] ? 0 : 1;
    const T* image = x + segment.image * w.height * w.width * w.channels + place.channel;
    const auto maximum_of = [&](int column, Column& of) {
      const bool inside = column >= 0 && column < w.width;
      RawPack<T, V> raw[3];
#pragma unroll
      for (int a = 0; a < 3; ++a) {
        if (inside && lines[a]) {
          raw[a].read(image + (static_cast<std::int64_t>(top + a) * w.width + column) * w.channels);
        }
      }
#pragma unroll
      for (int v = 0; v < V; ++v) {
        of[v] = {};
        of[v].begin(inside, first_line);
      }
#pragma unroll
      for (int a = 0; a < 3; ++a) {
        if (!inside || !lines[a]) continue;
        const auto pack = raw[a].pack();
#pragma unroll
        for (int v = 0; v < V; ++v) {
          A z = static_cast<A>(pack.values[v]);
          if constexpr (kNorm) z *= direction[v];
          of[v].take(z, a);
        }
      }
    };
    Column left;
    maximum_of(segment.first * kPoolStride - w.padding, left);
    for (int o = segment.first; o < segment.last; ++o) {
      Column middle;
      Column right;
      maximum_of(o * kPoolStride - w.padding + 1, middle);
      maximum_of(o * kPoolStride - w.padding + 2, right);
      A best[V];
      A from[V];
      std::uint8_t taken[V];
      Pack<T, V> first = {};  // in a window
      if (kNorm && constant) {
        const int column = o * kPoolStride - w.padding;
        first = load_pack<T, V>(image + (static_cast<std::int64_t>(top + first_line) * w.width +
                                         (column < 0 ? column + 1 : column)) *
                                            w.channels);
      }
#pragma unroll
      for (int v = 0; v < V; ++v) {
        taken[v] = static_cast<std::uint8_t>(left[v].join(middle[v], right[v]));
        best[v] = left[v].get();
        left[v] = right[v];
        if constexpr (kNorm) {
          // Of equal z the first; NaN is none of them.
          const bool all_equal = direction[v] == A(0) && best[v] == best[v];
          from[v] = all_equal ? static_cast<A>(first.values[v]) : best[v] * direction[v];
          best[v] = (from[v] - on.center[v]) * on.scale[v] + on.shift[v];
          best[v] = best[v] <= bound ? A(0) : best[v];
        }
      }
      const std::int64_t at = (segment.line * w.out_width + o) * w.channels + place.channel;
      if (index != nullptr) store<V>(index + at, taken);
      if constexpr (kNorm) {
        if (source != nullptr) store<V>(source + at, from);
      }
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

/// Every position of x gathers g from the windows, at most four, that took their maximum there.
/// With kNorm, dx is BatchNorm's: g * scale + (x - center) * slope + offset.
template <typename T, int V, bool kNorm>
__global__ void __launch_bounds__(kThreads)
    pool_backward(LinesPlan plan, WindowShape w, const T* __restrict__ dy,
                  const std::uint8_t* __restrict__ index, const T* __restrict__ x,
                  T* __restrict__ dx, BatchNormGradient of) {
  using A = Arithmetic<T>;
  const Place<V> place(plan);
  if (!place.active) return;
  Coefficients<A, V> on = {};
  A slope[V] = {};
  A offset[V] = {};
  if constexpr (kNorm) {
    on.read(of.load, place.channel);
    load_parameters<V>(of.slope, place.channel, slope);
    load_parameters<V>(of.offset, place.channel, offset);
  }
  const A bound = relu_bound<A>(of.load.relu);
  for (std::int64_t unit = place.part; unit < plan.units; unit += plan.parts) {
    const Segment segment(plan, unit, w.height);
    if (!segment.inside) continue;
    const std::int64_t image = segment.image * w.out_height * w.out_width;
    for (int i = segment.first; i < segment.last; ++i) {
      const std::int64_t here = (segment.line * w.width + i) * w.channels + place.channel;
      [[maybe_unused]] Pack<T, V> own;
      if constexpr (kNorm) own = load_pack<T, V>(x + here);
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
      if constexpr (kNorm) {
#pragma unroll
        for (int v = 0; v < V; ++v) {
          const A distance = static_cast<A>(own.values[v]) - on.center[v];
          const bool closed = distance * on.scale[v] + on.shift[v] <= bound;
          const A g = closed ? A(0) : sum[v];
          sum[v] = g * on.scale[v] + distance * slope[v] + offset[v];
        }
      }
      store<V>(dx + here, sum);
    }
  }
}

// ---- launches ----------------------------------------------------------------------------------

template <typename T>
void launch_pool_forward(const Queue& queue, const LinesPlan& plan, const void* x,
                         const OnLoad& on_load, const void* residual, void* y, std::uint8_t* index,
                         void* source, const Window& window) {
  const auto start = [&](const auto kernel) {
    launch("pool_forward", kernel, plan.grid(), queue, plan, shape_of(window),
           static_cast<const T*>(x), on_load, static_cast<const T*>(residual), static_cast<T*>(y),
           index, static_cast<T*>(source));
  };
  if (on_load.center == nullptr) {
    with_width<row_width(sizeof(T))>(plan.width,
                                     [&]<int V>() { start(pool_forward<T, V, false>); });
  } else {
    with_width<forward_width(sizeof(T))>(plan.width,
                                         [&]<int V>() { start(pool_forward<T, V, true>); });
  }
}

template <typename T>
void launch_pool_backward(const Queue& queue, const LinesPlan& plan, const void* dy,
                          const std::uint8_t* index, const void* x, void* dx, const Window& window,
                          const BatchNormGradient& of) {
  const auto start = [&](const auto kernel) {
    launch("pool_backward", kernel, plan.grid(), queue, plan, shape_of(window),
           static_cast<const T*>(dy), index, static_cast<const T*>(x), static_cast<T*>(dx), of);
  };
  if (of.load.center == nullptr) {
    with_width<row_width(sizeof(T))>(plan.width,
                                     [&]<int V>() { start(pool_backward<T, V, false>); });
  } else {
    with_width<forward_width(sizeof(T))>(plan.width,
                                         [&]<int V>() { start(pool_backward<T, V, true>); });
  }
}

}  // namespace
}  // namespace xception::cuda
