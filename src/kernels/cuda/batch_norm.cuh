#pragma once

#include "device.cuh"

namespace xception::cuda {
namespace {

/// A thread's rows.
template <int V>
struct RowsPlace : Place<V> {
  __device__ __forceinline__ explicit RowsPlace(const RowsPlan& plan)
      : Place<V>(plan), start(this->part * plan.rows_per_part), row(start + threadIdx.y) {
    const std::int64_t last = start + plan.rows_per_part;
    end = last < plan.rows ? last : plan.rows;
    if (!this->active) row = end;
  }

  std::int64_t start;  ///< of the block
  std::int64_t row;    ///< the first of the thread; then every blockDim.y-th
  std::int64_t end;
};

/// A thread sums distances from its first value, so what cancels is of the size of the spread, not
/// of the mean; in double these become distances from the block's first value, which add up.
template <typename T, int V>
__global__ void __launch_bounds__(kThreads)
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
    count = 1.0 + static_cast<double>((place.end - 1 - place.row) / blockDim.y);
  }
#pragma unroll 4
  for (std::int64_t row = place.row + blockDim.y; row < place.end; row += blockDim.y) {
    A value[V];
    load<V>(x + row * stride + place.channel, value);
#pragma unroll
    for (int v = 0; v < V; ++v) {
      const A distance = value[v] - pivot[v];
      sum[v] += distance;
      square[v] += distance * distance;
    }
  }
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

template <typename T, int V>
__global__ void __launch_bounds__(kThreads)
    bn_forward(RowsPlan plan, const T* __restrict__ x, std::int64_t x_stride,
               const T* __restrict__ residual, std::int64_t residual_stride, T* __restrict__ y,
               std::int64_t y_stride, OnLoad on_load) {
  using A = Arithmetic<T>;
  const RowsPlace<V> place(plan);
  if (place.row >= place.end) return;
  Coefficients<A, V> on;
  on.read(on_load, place.channel);
#pragma unroll 2
  for (std::int64_t row = place.row; row < place.end; row += blockDim.y) {
    A value[V];
    A added[V] = {};
    load<V>(x + row * x_stride + place.channel, value);
    if (residual != nullptr) load<V>(residual + row * residual_stride + place.channel, added);
#pragma unroll
    for (int v = 0; v < V; ++v) {
      value[v] = (value[v] - on.center[v]) * on.scale[v] + on.shift[v];
      if (residual != nullptr) value[v] += added[v];
      if (on_load.relu) value[v] = relu_of(value[v]);
    }
    store<V>(y + row * y_stride + place.channel, value);
  }
}

/// Null stays null.
template <typename T>
__device__ __forceinline__ const T* at(const T* values, std::int64_t offset) {
  return values == nullptr ? nullptr : values + offset;
}

/// Makes x the distance from the center, and dy g: zero where the ReLU was closed.
template <typename T, int V, typename A>
__device__ __forceinline__ void mask(A (&dy)[V], A (&distance)[V], const Coefficients<A, V>& on,
                                     const OnLoad& on_load, const T* output) {
#pragma unroll
  for (int v = 0; v < V; ++v) distance[v] -= on.center[v];
  if (!on_load.relu) return;
  A z[V];
  if (output != nullptr) {
    load<V>(output, z);
  } else {
#pragma unroll
    for (int v = 0; v < V; ++v) z[v] = distance[v] * on.scale[v] + on.shift[v];
  }
#pragma unroll
  for (int v = 0; v < V; ++v) dy[v] = passed(dy[v], z[v]);
}

template <typename T, int V>
__global__ void __launch_bounds__(kThreads)
    bn_reduce(RowsPlan plan, const T* __restrict__ dy, std::int64_t dy_stride,
              const T* __restrict__ x, std::int64_t x_stride, const T* __restrict__ output,
              std::int64_t output_stride, OnLoad on_load, double* partial) {
  using A = Arithmetic<T>;
  XCEPTION_SHARED(A, shared, kThreads * V);
  const RowsPlace<V> place(plan);
  Coefficients<A, V> on = {};
  if (place.active) on.read(on_load, place.channel);
  A sum[V] = {};
  A product[V] = {};
#pragma unroll 2
  for (std::int64_t row = place.row; row < place.end; row += blockDim.y) {
    A g[V];
    A distance[V];
    load<V>(dy + row * dy_stride + place.channel, g);
    load<V>(x + row * x_stride + place.channel, distance);
    mask<T, V>(g, distance, on, on_load, at(output, row * output_stride + place.channel));
#pragma unroll
    for (int v = 0; v < V; ++v) {
      sum[v] += g[v];
      product[v] += g[v] * distance[v];
    }
  }
  const double total = block_sum<V>(sum, shared, place.thread);
  const double total_product = block_sum<V>(product, shared, place.thread);
  const std::int64_t channel = place.first_channel + place.thread;
  if (place.thread >= static_cast<int>(blockDim.x) * V || channel >= plan.channels) return;
  double* out = partial + place.part * 2 * plan.channels + channel;
  out[0] = total;
  out[plan.channels] = total_product;
}

template <typename T, int V>
__global__ void __launch_bounds__(kThreads)
    bn_backward(RowsPlan plan, const T* __restrict__ dy, std::int64_t dy_stride,
                const T* __restrict__ x, std::int64_t x_stride, const T* __restrict__ output,
                std::int64_t output_stride, T* __restrict__ dx, std::int64_t dx_stride,
                T* __restrict__ d_residual, std::int64_t d_residual_stride, BatchNormGradient of) {
  using A = Arithmetic<T>;
  const RowsPlace<V> place(plan);
  if (place.row >= place.end) return;
  Coefficients<A, V> on;
  on.read(of.load, place.channel);
  A slope[V];
  A offset[V];
  load_parameters<V>(of.slope, place.channel, slope);
  load_parameters<V>(of.offset, place.channel, offset);
#pragma unroll 2
  for (std::int64_t row = place.row; row < place.end; row += blockDim.y) {
    A g[V];
    A distance[V];
    load<V>(dy + row * dy_stride + place.channel, g);
    load<V>(x + row * x_stride + place.channel, distance);
    mask<T, V>(g, distance, on, of.load, at(output, row * output_stride + place.channel));
    if (d_residual != nullptr) {
      store<V>(d_residual + row * d_residual_stride + place.channel, g);
    }
#pragma unroll
    for (int v = 0; v < V; ++v) g[v] = g[v] * on.scale[v] + distance[v] * slope[v] + offset[v];
    store<V>(dx + row * dx_stride + place.channel, g);
  }
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
    launch("bn_forward", bn_forward<T, V>, plan.grid(), queue, plan, values<T>(x.data), x.stride,
           values<T>(residual.data), residual.stride, values<T>(y.data), y.stride, on_load);
  });
}

template <typename T>
void launch_bn_reduce(const Queue& queue, const RowsPlan& plan, In dy, In x, In output,
                      const OnLoad& on_load, double* partial) {
  with_width<row_width(sizeof(T))>(plan.width, [&]<int V>() {
    launch("bn_reduce", bn_reduce<T, V>, plan.grid(), queue, plan, values<T>(dy.data), dy.stride,
           values<T>(x.data), x.stride, values<T>(output.data), output.stride, on_load, partial);
  });
}

template <typename T>
void launch_bn_backward(const Queue& queue, const RowsPlan& plan, In dy, In x, In output, Out dx,
                        Out d_residual, const BatchNormGradient& of) {
  with_width<row_width(sizeof(T))>(plan.width, [&]<int V>() {
    launch("bn_backward", bn_backward<T, V>, plan.grid(), queue, plan, values<T>(dy.data),
           dy.stride, values<T>(x.data), x.stride, values<T>(output.data), output.stride,
           values<T>(dx.data), dx.stride, values<T>(d_residual.data), d_residual.stride, of);
  });
}

}  // namespace
}  // namespace xception::cuda
