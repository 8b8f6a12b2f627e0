#pragma once

#include "depthwise_pairs.cuh"

namespace xception::cuda {
namespace {

/// The nine weights of a thread's channels.
template <int V, typename A>
__device__ __forceinline__ void read_taps(const Parameter& weight, std::int64_t channel,
                                          A (&tap)[9][V]) {
#pragma unroll
  for (int v = 0; v < V; ++v) {
#pragma unroll
    for (int k = 0; k < 9; ++k) tap[k][v] = static_cast<A>(get(weight, (channel + v) * 9 + k));
  }
}

/// Three lines of an image, read column by column: the lines under a window's three rows. A line
/// outside the image is null and reads as zeros.
template <typename T, int V>
struct Lines {
  const T* line[3];
  std::int64_t stride;  ///< elements from one position to the next

  /// `inside`: whether there is such a column.
  __device__ __forceinline__ void fetch(int column, bool inside, Pack<T, V> (&to)[3]) const {
#pragma unroll
    for (int a = 0; a < 3; ++a) {
      to[a] = {};
      if (inside && line[a] != nullptr) to[a] = load_pack<T, V>(line[a] + column * stride);
    }
  }
};

/// The value that the convolution sees of x: normalized, then ReLU.
template <bool kNorm, typename A, int V>
__device__ __forceinline__ A seen(A x, const Coefficients<A, V>& on, int v, bool relu) {
  if constexpr (kNorm) x = (x - on.center[v]) * on.scale[v] + on.shift[v];
  return relu ? relu_of(x) : x;
}

/// A thread goes along a line of y and reads every column of its three lines of x once. Two sums
/// are open: `newer` has what the left column of a window gave, `older` the left and the middle.
template <typename T, int V, bool kNorm>
__global__ void __launch_bounds__(kThreads, 2)
    depthwise_forward(LinesPlan plan, WindowShape w, const T* __restrict__ x, std::int64_t x_stride,
                      T* __restrict__ y, OnLoad on_load, Parameter weight) {
  using A = Arithmetic<T>;
  const Place<V> place(plan);
  if (!place.active) return;
  A tap[9][V];
  read_taps<V>(weight, place.channel, tap);
  Coefficients<A, V> on = {};
  if constexpr (kNorm) on.read(on_load, place.channel);
  for (std::int64_t unit = place.part; unit < plan.units; unit += plan.parts) {
    const Segment segment(plan, unit, w.out_height);
    if (!segment.inside) continue;
    Lines<T, V> lines;
    lines.stride = x_stride;
#pragma unroll
    for (int a = 0; a < 3; ++a) {
      const int row = segment.row * w.stride - w.padding + a;
      const std::int64_t at = (segment.image * w.height + row) * w.width * x_stride + place.channel;
      lines.line[a] = row >= 0 && row < w.height ? x + at : nullptr;
    }
    T* out = y + (segment.line * w.out_width + segment.first) * w.channels + place.channel;
    const int start = segment.first * w.stride - w.padding;
    const int steps = (segment.last - segment.first - 1) * w.stride + 3;
    A newer[V] = {};
    A older[V] = {};
    Pack<T, V> next[3];
    lines.fetch(start, start >= 0 && start < w.width, next);
    for (int step = 0; step < steps; ++step) {
      const int column = start + step;
      const bool in_width = column >= 0 && column < w.width;
      A value[3][V];
#pragma unroll
      for (int a = 0; a < 3; ++a) {
        const bool in_image = in_width && lines.line[a] != nullptr;
#pragma unroll
        for (int v = 0; v < V; ++v) {
          const A z = seen<kNorm>(static_cast<A>(next[a].values[v]), on, v, on_load.relu);
          value[a][v] = in_image ? z : A(0);  // zeros surround what is normalized
        }
      }
      const int ahead = column + 1;
      lines.fetch(ahead, step + 1 < steps && ahead >= 0 && ahead < w.width, next);
      // With stride 2 windows begin and end on even steps and have their middle on odd ones.
      const bool edge = w.stride == 1 || step % 2 == 0;
      const bool middle = w.stride == 1 || step % 2 == 1;
      if (edge && step >= 2) {
#pragma unroll
        for (int v = 0; v < V; ++v) {
#pragma unroll
          for (int a = 0; a < 3; ++a) older[v] += tap[3 * a + 2][v] * value[a][v];
        }
        store<V>(out, older);
        out += w.channels;
      }
      if (middle) {
#pragma unroll
        for (int v = 0; v < V; ++v) {
          older[v] = newer[v];
#pragma unroll
          for (int a = 0; a < 3; ++a) older[v] += tap[3 * a + 1][v] * value[a][v];
        }
      }
      if (edge) {
#pragma unroll
        for (int v = 0; v < V; ++v) {
          newer[v] = A(0);
#pragma unroll
          for (int a = 0; a < 3; ++a) newer[v] += tap[3 * a][v] * value[a][v];
        }
      }
    }
  }
}

/// Partial sums of the backward pass: the weight's gradient, and BatchNorm's sums.
template <typename A, int V>
struct DepthwiseSums {
  A tap[9][V];
  A gradient[V], centered[V];
};

/// One position of x: its gradient g, and what it adds to the sums. window[b][a]: dy where x's
/// position is under the weight of row a, column b.
template <bool kNorm, typename A, int V>
__device__ __forceinline__ void backward_position(const A (&x)[V], const A (&window)[3][3][V],
                                                  const A (&tap)[9][V],
                                                  const Coefficients<A, V>& on, bool relu,
                                                  DepthwiseSums<A, V>& sums, A (&g)[V]) {
#pragma unroll
  for (int v = 0; v < V; ++v) {
    const A z = seen<kNorm>(x[v], on, v, false);
    const A value = relu ? relu_of(z) : z;
    A sum = A(0);
#pragma unroll
    for (int k = 0; k < 9; ++k) {
      const A dy = window[k % 3][k / 3][v];
      sum += tap[k][v] * dy;
      sums.tap[k][v] += value * dy;
    }
    g[v] = relu ? passed(sum, z) : sum;
    if constexpr (kNorm) {
      sums.gradient[v] += g[v];
      sums.centered[v] += g[v] * (x[v] - on.center[v]);
    }
  }
}

/// A thread goes along lines of x; the window of dy slides with it. With stride 2, dy is seen at
/// x's resolution, zeros between its values.
template <typename T, int V, bool kNorm>
__global__ void __launch_bounds__(kThreads, 2)
    depthwise_backward(LinesPlan plan, WindowShape w, const T* __restrict__ dy,
                       const T* __restrict__ x, std::int64_t x_stride, T* __restrict__ g,
                       OnLoad on_load, Parameter weight, const T* __restrict__ added,
                       double* partial) {
  using A = Arithmetic<T>;
  XCEPTION_SHARED(A, shared, kThreads * V);
  const Place<V> place(plan);
  A tap[9][V] = {};
  Coefficients<A, V> on = {};
  if (place.active) {
    read_taps<V>(weight, place.channel, tap);
    if constexpr (kNorm) on.read(on_load, place.channel);
  }
  const int shift = w.stride - 1;  // dilated positions are multiples of 1 << shift
  DepthwiseSums<A, V> sums = {};
  for (std::int64_t unit = place.part; unit < plan.units; unit += plan.parts) {
    const Segment segment(plan, unit, w.height);
    if (!segment.inside || !place.active) continue;
    Lines<T, V> lines;
    lines.stride = w.channels;
#pragma unroll
    for (int a = 0; a < 3; ++a) {
      const int dilated = segment.row + w.padding - a;
      const int row = dilated >> shift;
      const bool there = dilated >= 0 && (dilated & shift) == 0 && row < w.out_height;
      const std::int64_t at =
          (segment.image * w.out_height + row) * w.out_width * w.channels + place.channel;
      lines.line[a] = there ? dy + at : nullptr;
    }
    const auto fetch = [&](int dilated, Pack<T, V>(&to)[3]) {
      const int column = dilated >> shift;
      lines.fetch(column, dilated >= 0 && (dilated & shift) == 0 && column < w.out_width, to);
    };
    A window[3][3][V] = {};
    const auto take = [&](const Pack<T, V>(&from)[3]) {
#pragma unroll
      for (int a = 0; a < 3; ++a) {
#pragma unroll
        for (int v = 0; v < V; ++v) {
          window[2][a][v] = window[1][a][v];
          window[1][a][v] = window[0][a][v];
          window[0][a][v] = static_cast<A>(from[a].values[v]);
        }
      }
    };
    Pack<T, V> next[3];
    fetch(segment.first + w.padding - 2, next);
    take(next);
    fetch(segment.first + w.padding - 1, next);
    take(next);
    fetch(segment.first + w.padding, next);
    const T* from = x + (segment.line * w.width + segment.first) * x_stride + place.channel;
    T* to = g + (segment.line * w.width + segment.first) * w.channels + place.channel;
    for (int i = segment.first; i < segment.last; ++i) {
      take(next);
      A value[V];
      load<V>(from, value);
      if (i + 1 < segment.last) fetch(i + 1 + w.padding, next);
      A gradient[V];
      backward_position<kNorm>(value, window, tap, on, on_load.relu, sums, gradient);
      if (added != nullptr) {
        A more[V];
        load<V>(added + (to - g), more);
#pragma unroll
        for (int v = 0; v < V; ++v) gradient[v] += more[v];
      }
      store<V>(to, gradient);
      from += x_stride;
      to += w.channels;
    }
  }
  constexpr int kRows = static_cast<int>(kDepthwiseSums + (kNorm ? kBatchNormSums : 0));
  const std::int64_t channel = place.first_channel + place.thread;
  const bool writes = place.thread < static_cast<int>(blockDim.x) * V && channel < plan.channels;
  double* out = partial + place.part * kRows * plan.channels + channel;
#pragma unroll
  for (int row = 0; row < kRows; ++row) {
    const auto& own =
        row < 9 ? sums.tap[row < 9 ? row : 0] : (row == 9 ? sums.gradient : sums.centered);
    const double total = block_sum<V>(own, shared, place.thread);
    if (writes) out[row * plan.channels] = total;
  }
}

// ---- launches ----------------------------------------------------------------------------------

template <typename T>
void launch_depthwise_forward(const Queue& queue, const LinesPlan& plan, In x, void* y,
                              const Window& window, const OnLoad& on_load,
                              const Parameter& weight) {
  constexpr int kWidth = forward_width(sizeof(T));
  const auto start = [&](const auto kernel, auto x_stride) {
    launch("depthwise_forward", kernel, plan.grid(), queue, plan, shape_of(window),
           static_cast<const T*>(x.data), x_stride, static_cast<T*>(y), on_load, weight);
  };
  const bool norm = on_load.center != nullptr;
  if (is_for_pairs<T>(plan, kWidth)) {
    if constexpr (can_pair(sizeof(T), kWidth, kWidth)) {
      start(norm ? depthwise_forward_pairs<T, kWidth, true>
                 : depthwise_forward_pairs<T, kWidth, false>,
            static_cast<int>(x.stride));
    }
    return;
  }
  with_width<kWidth>(plan.width, [&]<int V>() {
    start(norm ? depthwise_forward<T, V, true> : depthwise_forward<T, V, false>, x.stride);
  });
}

template <typename T>
void launch_depthwise_backward(const Queue& queue, const LinesPlan& plan, const void* dy, In x,
                               void* g, const Window& window, const OnLoad& on_load,
                               const Parameter& weight, const void* added, double* partial) {
  constexpr int kWidth = backward_width(sizeof(T));
  const auto start = [&](const auto kernel, auto x_stride) {
    launch("depthwise_backward", kernel, plan.grid(), queue, plan, shape_of(window),
           static_cast<const T*>(dy), static_cast<const T*>(x.data), x_stride, static_cast<T*>(g),
           on_load, weight, static_cast<const T*>(added), partial);
  };
  const bool norm = on_load.center != nullptr;
  if (is_for_pairs<T>(plan, kWidth)) {
    if constexpr (can_pair(sizeof(T), kWidth, kWidth)) {
      start(norm ? depthwise_backward_pairs<T, kWidth, true>
                 : depthwise_backward_pairs<T, kWidth, false>,
            static_cast<int>(x.stride));
    }
    return;
  }
  with_width<kWidth>(plan.width, [&]<int V>() {
    start(norm ? depthwise_backward<T, V, true> : depthwise_backward<T, V, false>, x.stride);
  });
}

}  // namespace
}  // namespace xception::cuda
