#pragma once

#include <cstring>

#include "lines.cuh"

// What kernels of pairs of lines are made of (depthwise_pairs.cuh).
namespace xception::cuda {
namespace {

constexpr int kPairLines = 4;

/// The nine weights of a thread's channels. All threads of the block call it.
/// shared: kLanes * V * 9 values.
template <int V, typename A>
__device__ __forceinline__ void read_block_taps(const Parameter& weight, const Place<V>& place,
                                                std::int64_t channels, A* shared, A (&tap)[9][V]) {
  const std::int64_t first = place.first_channel * 9;
  const std::int64_t left = channels * 9 - first;
  const int lanes = static_cast<int>(blockDim.x) * V * 9;
  const int count = left < lanes ? static_cast<int>(left) : lanes;
  for (int i = place.thread; i < count; i += static_cast<int>(blockDim.x * blockDim.y)) {
    shared[i] = weight.is_double
                    ? static_cast<A>(static_cast<const double*>(weight.data)[first + i])
                    : static_cast<A>(static_cast<const float*>(weight.data)[first + i]);
  }
  __syncthreads();
#pragma unroll
  for (int v = 0; v < V; ++v) {
#pragma unroll
    for (int k = 0; k < 9; ++k) {
      tap[k][v] = shared[(static_cast<int>(threadIdx.x) * V + v) * 9 + k];
    }
  }
  __syncthreads();
}

/// The pack, or zeros: a choice a word, where the dtype allows.
template <typename T, int V>
__device__ __forceinline__ Pack<T, V> kept(const Pack<T, V>& pack, bool keep) {
  Pack<T, V> result = pack;
  if constexpr (sizeof(pack) % sizeof(std::uint32_t) == 0) {
    constexpr int kWords = sizeof(pack) / sizeof(std::uint32_t);
    std::uint32_t words[kWords];
    std::memcpy(words, &pack, sizeof(pack));
#pragma unroll
    for (int i = 0; i < kWords; ++i) words[i] = keep ? words[i] : 0U;
    std::memcpy(&result, words, sizeof(pack));
  } else {
#pragma unroll
    for (int v = 0; v < V; ++v) result.values[v] = keep ? pack.values[v] : T(0.0F);
  }
  return result;
}

/// So many bytes from a tensor's first value.
template <typename T>
__device__ __forceinline__ const T* at_byte(const T* base, std::uint32_t place) {
  return reinterpret_cast<const T*>(reinterpret_cast<const char*>(base) + place);
}

/// The four lines that a pair's windows are on, the pair's own in the middle. Places are bytes from
/// a tensor's first value in 32 bits, so that an address costs one instruction. A line outside the
/// image has the place of one inside: whoever reads it puts zeros in its place.
template <typename T, int V>
struct PairLines {
  const T* base;
  std::uint32_t place[kPairLines];
  bool inside[kPairLines];
  std::uint32_t stride;  ///< from one position to the next

  __device__ __forceinline__ PairLines(const T* values, std::int64_t number, int row,
                                       const WindowShape& w, int row_stride, std::int64_t channel)
      : base(values), stride(static_cast<std::uint32_t>(row_stride) * sizeof(T)) {
#pragma unroll
    for (int a = 0; a < kPairLines; ++a) {
      const int line = row + a - 1;
      inside[a] = line >= 0 && line < w.height;
      place[a] = (static_cast<std::uint32_t>(number) * w.height + (inside[a] ? line : row)) *
                     w.width * stride +
                 static_cast<std::uint32_t>(channel * sizeof(T));
    }
  }

  /// Loads a column of kCount of the lines, from kFirst on.
  template <int kFirst, int kCount>
  __device__ __forceinline__ void fetch(int column, Pack<T, V> (&to)[kCount]) const {
    const std::uint32_t along = static_cast<std::uint32_t>(column) * stride;
#pragma unroll
    for (int a = 0; a < kCount; ++a) {
      to[a] = load_pack<T, V>(at_byte(base, place[kFirst + a] + along));
    }
  }
};

template <int V, typename T, typename A>
__device__ __forceinline__ void store_at(T* base, std::uint32_t place, const A (&values)[V]) {
  store<V>(reinterpret_cast<T*>(reinterpret_cast<char*>(base) + place), values);
}

}  // namespace
}  // namespace xception::cuda
