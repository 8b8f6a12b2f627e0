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

/// What windows of one column gave, those of the two rows that may have a position's value. Of
/// windows that aren't there, dy is zero.
template <typename T, int V>
struct WindowColumn {
  RawPack<T, V> dy[2];
  RawPack<std::uint8_t, V> index[2];

  /// Whether window r took its maximum in this place.
  [[nodiscard]] __device__ __forceinline__ bool took(int r, int v, std::uint32_t wanted) const {
    const std::uint32_t mask = 0xFFU << (v % 4 * 8);
    return ((index[r].words[v / 4] ^ (wanted * 0x01010101U)) & mask) == 0;
  }
};

/// Every position of x gathers g from the windows, at most four, that took their maximum there.
/// With kNorm, dx is BatchNorm's: g * scale + (x - center) * slope + offset. A thread goes along a
/// line, and so do the windows: of an even place (the padding counts) the windows' first column and
/// the last one of those before, of an odd one the middle column.
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
    // The rows of windows, and which of their own rows x's is.
    const int half = (segment.row + w.padding) / kPoolStride;
    const bool even = (segment.row + w.padding) % kPoolStride == 0;
    const int first_row = even ? 0 : 1;
    const bool rows[2] = {half < w.out_height, even && half > 0};
    const std::int64_t image = segment.image * w.out_height;
    const auto fetch = [&](int column, WindowColumn<T, V>& to) {
      const bool inside = column >= 0 && column < w.out_width;
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        to.dy[r] = {};
        if (inside && rows[r]) {
          const std::int64_t at =
              ((image + half - r) * w.out_width + column) * w.channels + place.channel;
          to.dy[r].read(dy + at);
          to.index[r].read(index + at);
        }
      }
    };
    const auto add = [&](const WindowColumn<T, V>& from, int column, A(&sum)[V]) {
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const auto wanted = static_cast<std::uint32_t>(3 * (r == 0 ? first_row : 2) + column);
        const auto pack = from.dy[r].pack();
#pragma unroll
        for (int v = 0; v < V; ++v) {
          const A g = static_cast<A>(pack.values[v]);
          sum[v] += from.took(r, v, wanted) ? g : A(0);
        }
      }
    };
    const std::int64_t start = segment.line * w.width + segment.first;
    const T* from = kNorm ? x + start * w.channels + place.channel : nullptr;
    T* to = dx + start * w.channels + place.channel;
    int window = (segment.first + w.padding) / kPoolStride;
    WindowColumn<T, V> before;
    WindowColumn<T, V> current;
    WindowColumn<T, V> next;
    fetch(window - 1, before);
    fetch(window, current);
    fetch(window + 1, next);
    RawPack<T, V> own;
    if constexpr (kNorm) own.read(from);
    for (int i = segment.first; i < segment.last; ++i) {
      A sum[V] = {};
      if ((i + w.padding) % kPoolStride == 0) {
        if (i > segment.first) {
          before = current;
          current = next;
          ++window;
          fetch(window + 1, next);
        }
        add(current, 0, sum);
        add(before, 2, sum);
      } else {
        add(current, 1, sum);
      }
      if constexpr (kNorm) {
        const auto here = own.pack();
        from += i + 1 < segment.last ? w.channels : 0;
        own.read(from);
#pragma unroll
        for (int v = 0; v < V; ++v) {
          const A distance = static_cast<A>(here.values[v]) - on.center[v];
          const bool closed = distance * on.scale[v] + on.shift[v] <= bound;
          const A g = closed ? A(0) : sum[v];
          sum[v] = g * on.scale[v] + distance * slope[v] + offset[v];
        }
      }
      store<V>(to, sum);
      to += w.channels;
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
