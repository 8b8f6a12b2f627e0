#pragma once

#include "pair_lines.cuh"

// The depthwise convolution that keeps an image's size: stride 1, padding 1. A thread has a pair of
// neighboring lines, which share two of the four lines that their windows are on. Nothing in a loop
// branches: lines outside the image are read elsewhere and taken for zeros, and the next column's
// loads are under way while a column is computed.
namespace xception::cuda {
namespace {

/// Two sums are open for each line: `newer` has what the left column of a window gave, `older` the
/// left and the middle.
template <typename T, int V, bool kNorm>
__global__ void __launch_bounds__(kThreads, 2)
    depthwise_forward_pairs(LinesPlan plan, WindowShape w, const T* __restrict__ x, int x_stride,
                            T* __restrict__ y, OnLoad on_load, Parameter weight) {
  using A = Arithmetic<T>;
  XCEPTION_SHARED(A, shared, kLanes * V * 9);
  const Place<V> place(plan);
  A tap[9][V];
  read_block_taps<V>(weight, place, plan.channels, shared, tap);
  if (!place.active) return;
  Coefficients<A, V> on = {};
  if constexpr (kNorm) on.read(on_load, place.channel);
  if constexpr (kNorm && sizeof(T) == 2) {
#pragma unroll
    for (int v = 0; v < V; ++v) on.shift[v] -= on.center[v] * on.scale[v];
  }
  const A bound = relu_bound<A>(on_load.relu);
  const int channels = static_cast<int>(w.channels);
  for (std::int64_t unit = place.part; unit < plan.units; unit += plan.parts) {
    const Segment segment(plan, unit, (w.height + 1) / 2);
    if (!segment.inside) continue;
    const int row = 2 * segment.row;
    const PairLines<T, V> lines(x, segment.image, row, w, x_stride, place.channel);
    const bool second = row + 1 < w.height;
    const std::uint32_t step = static_cast<std::uint32_t>(channels) * sizeof(T);
    const std::uint32_t line = w.width * step;
    const std::uint32_t out = (static_cast<std::uint32_t>(segment.image) * w.height + row) * line +
                              static_cast<std::uint32_t>(place.channel * sizeof(T));
    const int start = segment.first > 0 ? segment.first - 1 : 0;
    const int end = segment.last < w.width ? segment.last : w.width - 1;
    A newer[2][V] = {};
    A older[2][V] = {};
    Pack<T, V> next[kPairLines];
    Pack<T, V> after[kPairLines];  // the column behind it
    lines.template fetch<0>(start, next);
    lines.template fetch<0>(start < end ? start + 1 : end, after);
#pragma unroll 2
    for (int column = start; column <= end; ++column) {
      A value[kPairLines][V];
#pragma unroll
      for (int a = 0; a < kPairLines; ++a) {
#pragma unroll
        for (int v = 0; v < V; ++v) {
          A z = static_cast<A>(next[a].values[v]);
          if constexpr (kNorm) {
            if constexpr (sizeof(T) > 2) z -= on.center[v];
            z = z * on.scale[v] + on.shift[v];
          }
          value[a][v] = z <= bound || !lines.inside[a] ? A(0) : z;
        }
      }
#pragma unroll
      for (int a = 0; a < kPairLines; ++a) next[a] = after[a];
      lines.template fetch<0>(column + 2 < end ? column + 2 : end, after);
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        A done[V];
#pragma unroll
        for (int v = 0; v < V; ++v) {
          A right = older[r][v];
          A middle = newer[r][v];
          A left = A(0);
#pragma unroll
          for (int a = 0; a < 3; ++a) {
            right += tap[3 * a + 2][v] * value[r + a][v];
            middle += tap[3 * a + 1][v] * value[r + a][v];
            left += tap[3 * a][v] * value[r + a][v];
          }
          done[v] = right;
          older[r][v] = middle;
          newer[r][v] = left;
        }
        if (column > segment.first && (r == 0 || second)) {
          store_at<V>(y, out + r * line + (column - 1) * step, done);
        }
      }
    }
    if (segment.last == w.width) {
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        if (r == 0 || second) store_at<V>(y, out + r * line + (w.width - 1) * step, older[r]);
      }
    }
  }
}

/// The window of dy slides along with the thread.
template <typename T, int V, bool kNorm>
__global__ void __launch_bounds__(kThreads, 2)
    depthwise_backward_pairs(LinesPlan plan, WindowShape w, const T* __restrict__ dy,
                             const T* __restrict__ x, int x_stride, T* __restrict__ g,
                             OnLoad on_load, Parameter weight, const T* __restrict__ added,
                             double* partial) {
  using A = Arithmetic<T>;
  constexpr int kRows = static_cast<int>(kDepthwiseSums + (kNorm ? kBatchNormSums : 0));
  XCEPTION_SHARED(A, shared, kRows * kThreads * V);
  const Place<V> place(plan);
  A tap[9][V];
  read_block_taps<V>(weight, place, plan.channels, shared, tap);
  Coefficients<A, V> on = {};
  if (kNorm && place.active) on.read(on_load, place.channel);
  const A bound = relu_bound<A>(on_load.relu);
  const int channels = static_cast<int>(w.channels);
  A sums[kRows][V] = {};
  for (std::int64_t unit = place.part; unit < plan.units; unit += plan.parts) {
    const Segment segment(plan, unit, (w.height + 1) / 2);
    if (!segment.inside || !place.active) continue;
    const int row = 2 * segment.row;
    const PairLines<T, V> gradients(dy, segment.image, row, w, channels, place.channel);
    const PairLines<T, V> inputs(x, segment.image, row, w, x_stride, place.channel);
    const bool second = gradients.inside[2];
    A window[3][kPairLines][V] = {};  // columns i - 1, i, i + 1
    Pack<T, V> next_dy[kPairLines];
    Pack<T, V> next_x[2];
    Pack<T, V> after_dy[kPairLines];  // the column behind it
    Pack<T, V> after_x[2];
    const auto take = [&](A(&column)[kPairLines][V], bool inside) {
#pragma unroll
      for (int a = 0; a < kPairLines; ++a) {
        const auto pack = kept(next_dy[a], inside && gradients.inside[a]);
#pragma unroll
        for (int v = 0; v < V; ++v) column[a][v] = static_cast<A>(pack.values[v]);
      }
    };
    const int last_column = w.width - 1;
    gradients.template fetch<0>(segment.first > 0 ? segment.first - 1 : 0, next_dy);
    take(window[0], segment.first > 0);
    gradients.template fetch<0>(segment.first, next_dy);
    take(window[1], true);
    gradients.template fetch<0>(segment.first < last_column ? segment.first + 1 : last_column,
                                next_dy);
    inputs.template fetch<1>(segment.first, next_x);
    gradients.template fetch<0>(segment.first + 2 < last_column ? segment.first + 2 : last_column,
                                after_dy);
    inputs.template fetch<1>(segment.first < last_column ? segment.first + 1 : last_column,
                             after_x);
#pragma unroll 3
    for (int i = segment.first; i < segment.last; ++i) {
      take(window[2], i < last_column);
      A own[2][V];
#pragma unroll
      for (int r = 0; r < 2; ++r) {
#pragma unroll
        for (int v = 0; v < V; ++v) own[r][v] = static_cast<A>(next_x[r].values[v]);
      }
#pragma unroll
      for (int a = 0; a < kPairLines; ++a) next_dy[a] = after_dy[a];
      next_x[0] = after_x[0];
      next_x[1] = after_x[1];
      gradients.template fetch<0>(i + 3 < last_column ? i + 3 : last_column, after_dy);
      inputs.template fetch<1>(i + 2 < last_column ? i + 2 : last_column, after_x);
      RawPack<T, V> more[2];
      if (!kNorm && added != nullptr) {
#pragma unroll
        for (int r = 0; r < 2; ++r) {
          if (r == 0 || second) {
            more[r].read(at_byte(added, gradients.place[1 + r] + i * gradients.stride));
          }
        }
      }
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        A result[V];
        [[maybe_unused]] const auto of_more = more[r].pack();
#pragma unroll
        for (int v = 0; v < V; ++v) {
          A z = own[r][v];
          if constexpr (kNorm) {
            own[r][v] -= on.center[v];
            z = own[r][v] * on.scale[v] + on.shift[v];
          }
          const bool closed = z <= bound || (r == 1 && !second);
          const A value = closed ? A(0) : z;
          A sum = A(0);
#pragma unroll
          for (int k = 0; k < 9; ++k) {
            const A d = window[2 - k % 3][r + 2 - k / 3][v];
            sum += tap[k][v] * d;
            sums[k][v] += value * d;
          }
          sum = closed ? A(0) : sum;
          result[v] = kNorm ? sum : sum + static_cast<A>(of_more.values[v]);
          if constexpr (kNorm) {
            sums[9][v] += sum;
            sums[10][v] += sum * own[r][v];
          }
        }
        if (r == 0 || second) store_at<V>(g, gradients.place[1 + r] + i * gradients.stride, result);
      }
#pragma unroll
      for (int a = 0; a < kPairLines; ++a) {
#pragma unroll
        for (int v = 0; v < V; ++v) {
          window[0][a][v] = window[1][a][v];
          window[1][a][v] = window[2][a][v];
        }
      }
    }
  }
  write_block_sums(sums, shared, place, plan.channels,
                   partial + place.part * kRows * plan.channels);
}

/// Whether a plan is for the kernels of pairs of lines, which are for vectors of narrow values and
/// float32. Error (std::logic_error): it is, for others.
template <typename T>
bool is_for_pairs(const LinesPlan& plan, int width) {
  if (plan.pairs && !can_pair(sizeof(T), plan.width, width)) {
    throw std::logic_error("a launch plan of pairs of lines for single values");
  }
  return plan.pairs;
}

}  // namespace
}  // namespace xception::cuda
