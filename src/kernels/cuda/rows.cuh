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
    count = row < end ? static_cast<int>((end - 1 - row) / blockDim.y) + 1 : 0;
  }

  std::int64_t start;  ///< of the block
  std::int64_t row;    ///< the first of the thread; then every blockDim.y-th
  std::int64_t end;
  int count;  ///< of the thread's rows
};

/// Where a thread is in an image's rows, of which it takes every blockDim.y-th.
template <typename T, int V>
struct RowCursor {
  T* next;            ///< the thread's next row; null: there is no image
  std::int64_t step;  ///< values from a row of the thread to the following one

  template <typename P>
  __device__ __forceinline__ RowCursor(T* values, std::int64_t stride, const P& place)
      : next(values == nullptr ? nullptr : values + place.row * stride + place.channel),
        step(stride * blockDim.y) {}

  /// Loads the next kBatch rows.
  template <int kBatch, typename U>
  __device__ __forceinline__ void fetch(Pack<U, V> (&to)[kBatch]) const {
#pragma unroll
    for (int r = 0; r < kBatch; ++r) to[r] = load_pack<U, V>(next + r * step);
  }
  __device__ __forceinline__ void move(int rows) {
    next += rows * step;
  }
};

/// Goes through a thread's rows: batch.operator()<kBatch>() as often as that many are left, then
/// batch.operator()<1>() for each. A batch loads all its rows before it uses the first.
template <int kBatch, typename Batch>
__device__ __forceinline__ void by_batches(int rows, const Batch& batch) {
  for (; rows >= kBatch; rows -= kBatch) batch.template operator()<kBatch>();
  for (; rows > 0; --rows) batch.template operator()<1>();
}

}  // namespace
}  // namespace xception::cuda
