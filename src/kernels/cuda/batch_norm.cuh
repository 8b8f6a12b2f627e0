#pragma once

#include "rows.cuh"

namespace xception::cuda {
namespace {

/// A thread sums distances from its first value, so what cancels is of the size of the spread, not
/// of the mean; in double these become distances from the block's first value, which add up.
template <typename T, int V>
__global__ void __launch_bounds__(kThreads, 4)
    statistics(RowsPlan plan, const T* __restrict__ x, std::int64_t stride, double* partial) {
  using A = Arithmetic<T>;
  XCEPTION_SHARED(double, shared, kThreads* V);
  XCEPTION_SHARED(A, pivots, kLanes * V);
  const RowsPlace<V> place(plan);
  A pivot[V] = {};
  A sum[V] = {};
  A square[V] = {};
  double count = 0.0;
  if (place.row < place.end) {
    load<V>(x + place.row * stride + place.channel, pivot);
    count = static_cast<double>(place.count);
  }
  RowCursor<const T, V> from(x, stride, place);
  by_batches<4>(place.count, [&]<int kBatch>() {
    Pack<T, V> packs[kBatch];
    from.fetch(packs);
    from.move(kBatch);
#pragma unroll
    for (int r = 0; r < kBatch; ++r) {
#pragma unroll
      for (int v = 0; v < V; ++v) {
        const A distance = static_cast<A>(packs[r].values[v]) - pivot[v];
        sum[v] += distance;
        square[v] += distance * distance;
      }
    }
  });
  if (threadIdx.y == 0) {
#pragma unroll
    for (int v = 0; v < V; ++v) pivots[threadIdx.x * V + v] = pivot[v];
  }
  __syncthreads();
  double sums[V];
  double squares[V];
#pragma unroll
  for (int v = 0; v < V; ++v) {
    const double s = static_cast<double>(sum[v]);
    const double moved =
        static_cast<double>(pivot[v]) - static_cast<double>(pivots[threadIdx.x * V + v]);
    sums[v] = count == 0.0 ? 0.0 : s + count * moved;
    squares[v] =
        count == 0.0 ? 0.0 : static_cast<double>(square[v]) + moved * (2.0 * s + count * moved);
  }
  const double total = block_sum<V>(sums, shared, place.thread);
  const double total_square = block_sum<V>(squares, shared, place.thread);
  const std::int64_t channel = place.first_channel + place.thread;
  if (place.thread >= static_cast<int>(blockDim.x) * V || channel >= plan.channels) return;
  const auto rows = static_cast<double>(place.end - place.start);
  const double m2 = total_square - total * total / rows;
  double* out = partial + place.part * 2 * plan.channels + channel;
  out[0] = static_cast<double>(pivots[place.thread]) + total / rows;
  out[plan.channels] = m2 < 0.0 ? 0.0 : m2;  // NaN stays
}

template <typename T, int V, bool kResidual>
__global__ void __launch_bounds__(kThreads, 4)
    bn_forward(RowsPlan plan, const T* __restrict__ x, std::int64_t x_stride,
               const T* __restrict__ residual, std::int64_t residual_stride, T* __restrict__ y,
               std::int64_t y_stride, OnLoad on_load) {
  using A = Arithmetic<T>;
  const RowsPlace<V> place(plan);
  if (place.count == 0) return;
  Coefficients<A, V> on;
  on.read(on_load, place.channel);
  const A bound = relu_bound<A>(on_load.relu);
  RowCursor<const T, V> from(x, x_stride, place);
  RowCursor<const T, V> other(residual, residual_stride, place);
  RowCursor<T, V> to(y, y_stride, place);
  by_batches<4>(place.count, [&]<int kBatch>() {
    Pack<T, V> packs[kBatch];
    [[maybe_unused]] Pack<T, V> added[kBatch];
    from.fetch(packs);
    if constexpr (kResidual) other.fetch(added);
    from.move(kBatch);
    if constexpr (kResidual) other.move(kBatch);
#pragma unroll
    for (int r = 0; r < kBatch; ++r) {
      A value[V];
#pragma unroll
      for (int v = 0; v < V; ++v) {
        value[v] = (static_cast<A>(packs[r].values[v]) - on.center[v]) * on.scale[v] + on.shift[v];
        if constexpr (kResidual) value[v] += static_cast<A>(added[r].values[v]);
        value[v] = value[v] <= bound ? A(0) : value[v];
      }
      store<V>(to.next + r * to.step, value);
    }
    to.move(kBatch);
  });
}

/// What backward reads of a thread's rows. kOutput: the ReLU's mask is from the output.
template <typename T, int V, bool kOutput>
struct GradientRows {
  using A = Arithmetic<T>;

  RowCursor<const T, V> dy, x, output;

  /// Of the next kBatch rows: g, which is dy or zero where the ReLU was closed, and x's distance
  /// from the center. use(r, g, distance) for each, once all are loaded.
  template <int kBatch, typename Use>
  __device__ __forceinline__ void batch(const Coefficients<A, V>& on, A bound, const Use& use) {
    Pack<T, V> of_dy[kBatch];
    Pack<T, V> of_x[kBatch];
    [[maybe_unused]] Pack<T, V> of_output[kBatch];
    dy.fetch(of_dy);
    x.fetch(of_x);
    if constexpr (kOutput) output.fetch(of_output);
    dy.move(kBatch);
    x.move(kBatch);
    if constexpr (kOutput) output.move(kBatch);
#pragma unroll
    for (int r = 0; r < kBatch; ++r) {
      A g[V];
      A distance[V];
#pragma unroll
      for (int v = 0; v < V; ++v) {
        distance[v] = static_cast<A>(of_x[r].values[v]) - on.center[v];
        const A z = kOutput ? static_cast<A>(of_output[r].values[v])
                            : distance[v] * on.scale[v] + on.shift[v];
        g[v] = z <= bound ? A(0) : static_cast<A>(of_dy[r].values[v]);
      }
      use(r, g, distance);
    }
  }
};

template <typename T, int V, bool kOutput>
__global__ void __launch_bounds__(kThreads, 4)
    bn_reduce(RowsPlan plan, const T* __restrict__ dy, std::int64_t dy_stride,
              const T* __restrict__ x, std::int64_t x_stride, const T* __restrict__ output,
              std::int64_t output_stride, OnLoad on_load, double* partial) {
  using A = Arithmetic<T>;
  XCEPTION_SHARED(A, shared, kThreads * V);
  const RowsPlace<V> place(plan);
  Coefficients<A, V> on = {};
  if (place.active) on.read(on_load, place.channel);
  const A bound = relu_bound<A>(on_load.relu);
  A sum[V] = {};
  A product[V] = {};
  GradientRows<T, V, kOutput> rows{
      {dy, dy_stride, place}, {x, x_stride, place}, {output, output_stride, place}};
  by_batches<4>(place.count, [&]<int kBatch>() {
    rows.template batch<kBatch>(on, bound, [&](int, const A(&g)[V], const A(&distance)[V]) {
#pragma unroll
      for (int v = 0; v < V; ++v) {
        sum[v] += g[v];
        product[v] += g[v] * distance[v];
      }
    });
  });
  const double total = block_sum<V>(sum, shared, place.thread);
  const double total_product = block_sum<V>(product, shared, place.thread);
  const std::int64_t channel = place.first_channel + place.thread;
  if (place.thread >= static_cast<int>(blockDim.x) * V || channel >= plan.channels) return;
  double* out = partial + place.part * 2 * plan.channels + channel;
  out[0] = total;
  out[plan.channels] = total_product;
}

template <typename T, int V, bool kOutput>
__global__ void __launch_bounds__(kThreads, 2)
    bn_backward(RowsPlan plan, const T* __restrict__ dy, std::int64_t dy_stride,
                const T* __restrict__ x, std::int64_t x_stride, const T* __restrict__ output,
                std::int64_t output_stride, T* __restrict__ dx, std::int64_t dx_stride,
                T* __restrict__ d_residual, std::int64_t d_residual_stride, BatchNormGradient of) {
  using A = Arithmetic<T>;
  const RowsPlace<V> place(plan);
  if (place.count == 0) return;
  Coefficients<A, V> on;
  on.read(of.load, place.channel);
  A slope[V];
  A offset[V];
  load_parameters<V>(of.slope, place.channel, slope);
  load_parameters<V>(of.offset, place.channel, offset);
  const A bound = relu_bound<A>(of.load.relu);
  GradientRows<T, V, kOutput> rows{
      {dy, dy_stride, place}, {x, x_stride, place}, {output, output_stride, place}};
  RowCursor<T, V> to(dx, dx_stride, place);
  RowCursor<T, V> to_residual(d_residual, d_residual_stride, place);
  by_batches<2>(place.count, [&]<int kBatch>() {
    rows.template batch<kBatch>(on, bound, [&](int r, const A(&g)[V], const A(&distance)[V]) {
      if (d_residual != nullptr) store<V>(to_residual.next + r * to_residual.step, g);
      A result[V];
#pragma unroll
      for (int v = 0; v < V; ++v) {
        result[v] = g[v] * on.scale[v] + distance[v] * slope[v] + offset[v];
      }
      store<V>(to.next + r * to.step, result);
    });
    to.move(kBatch);
    if (d_residual != nullptr) to_residual.move(kBatch);
  });
}

// ---- launches ----------------------------------------------------------------------------------

template <typename T>
const T* values(const void* data) {
  return static_cast<const T*>(data);
}
template <typename T>
T* values(void* data) {
  return static_cast<T*>(data);
}

template <typename T>
void launch_statistics(const Queue& queue, const RowsPlan& plan, In x, double* partial) {
  with_width<row_width(sizeof(T))>(plan.width, [&]<int V>() {
    launch("statistics", statistics<T, V>, plan.grid(), queue, plan, values<T>(x.data), x.stride,
           partial);
  });
}

template <typename T>
void launch_bn_forward(const Queue& queue, const RowsPlan& plan, In x, In residual, Out y,
                       const OnLoad& on_load) {
  with_width<row_width(sizeof(T))>(plan.width, [&]<int V>() {
    const auto kernel = residual.data == nullptr ? bn_forward<T, V, false> : bn_forward<T, V, true>;
    launch("bn_forward", kernel, plan.grid(), queue, plan, values<T>(x.data), x.stride,
           values<T>(residual.data), residual.stride, values<T>(y.data), y.stride, on_load);
  });
}

template <typename T>
void launch_bn_reduce(const Queue& queue, const RowsPlan& plan, In dy, In x, In output,
                      const OnLoad& on_load, double* partial) {
  with_width<reduce_width(sizeof(T))>(plan.width, [&]<int V>() {
    const auto kernel = output.data == nullptr ? bn_reduce<T, V, false> : bn_reduce<T, V, true>;
    launch("bn_reduce", kernel, plan.grid(), queue, plan, values<T>(dy.data), dy.stride,
           values<T>(x.data), x.stride, values<T>(output.data), output.stride, on_load, partial);
  });
}

template <typename T>
void launch_bn_backward(const Queue& queue, const RowsPlan& plan, In dy, In x, In output, Out dx,
                        Out d_residual, const BatchNormGradient& of) {
  with_width<row_width(sizeof(T))>(plan.width, [&]<int V>() {
    const auto kernel = output.data == nullptr ? bn_backward<T, V, false> : bn_backward<T, V, true>;
    launch("bn_backward", kernel, plan.grid(), queue, plan, values<T>(dy.data), dy.stride,
           values<T>(x.data), x.stride, values<T>(output.data), output.stride, values<T>(dx.data),
           dx.stride, values<T>(d_residual.data), d_residual.stride, of);
  });
}

}  // namespace
}  // namespace xception::cuda
