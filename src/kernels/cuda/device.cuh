#pragma once

#include <cstdint>
#include <cstring>
#include <stdexcept>

#include "kernels.h"

// What all kernels are made of. The same sources run on the host in tests: a header of theirs, read
// before this one, brings what nvcc and CUDA's headers bring here.

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

/// Memory of a block: `name` points to `count` values, uninitialized.
#define XCEPTION_SHARED(type, name, count) __shared__ type name[count]

namespace xception::cuda {

/// Error (run): the launch before failed.
void check_launch(const char* kernel);

namespace {

template <typename... Parameters, typename... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), const Grid& grid, const Queue& queue,
            const Arguments&... arguments) {
  const dim3 threads(static_cast<unsigned>(grid.threads_x), static_cast<unsigned>(grid.threads_y));
  kernel<<<static_cast<unsigned>(grid.blocks), threads, 0,
           static_cast<cudaStream_t>(queue.stream)>>>(arguments...);
  check_launch(name);
}

}  // namespace
}  // namespace xception::cuda
#endif

// Unnamed, so that what is compiled for a device never serves for the tests' host, nor the reverse.
namespace xception::cuda {
namespace {

/// The dtype of arithmetic.
template <typename T>
struct ArithmeticOf {
  using A = float;
};
template <>
struct ArithmeticOf<double> {
  using A = double;
};
template <typename T>
using Arithmetic = typename ArithmeticOf<T>::A;

/// Neighboring values, moved at once.
template <typename T, int V>
struct alignas(sizeof(T) * V) Pack {
  T values[V];
};

/// So many bytes, moved at once.
template <int kBytes>
struct alignas(kBytes) Words {
  std::uint32_t values[kBytes / 4];
};

/// As whole words: the compiler stores the values of a dtype that is a class (__half) one by one.
template <typename T, int V>
__device__ __forceinline__ void store_pack(T* to, const Pack<T, V>& pack) {
  if constexpr (sizeof(pack) % sizeof(std::uint32_t) == 0) {
    Words<static_cast<int>(sizeof(pack))> words;
    std::memcpy(&words, &pack, sizeof(pack));
    *reinterpret_cast<decltype(words)*>(to) = words;
  } else {
    *reinterpret_cast<Pack<T, V>*>(to) = pack;
  }
}

template <typename T, int V>
__device__ __forceinline__ Pack<T, V> load_pack(const T* from) {
  return *reinterpret_cast<const Pack<T, V>*>(from);
}

/// A pack in registers as whole words, so that copying, or putting zeros in its place, costs an
/// instruction a word whatever the dtype.
template <typename T, int V>
struct RawPack {
  static constexpr int kBytes = static_cast<int>(sizeof(T)) * V;
  std::uint32_t words[(kBytes + 3) / 4] = {};

  __device__ __forceinline__ void read(const T* from) {
    if constexpr (kBytes % 4 == 0) {
      const auto loaded = *reinterpret_cast<const Words<kBytes>*>(from);
#pragma unroll
      for (int i = 0; i < kBytes / 4; ++i) words[i] = loaded.values[i];
    } else {
      const auto loaded = load_pack<T, V>(from);
      std::memcpy(words, &loaded, sizeof(loaded));
    }
  }
  [[nodiscard]] __device__ __forceinline__ Pack<T, V> pack() const {
    Pack<T, V> result;
    std::memcpy(&result, words, sizeof(result));
    return result;
  }
};

template <int V, typename T, typename A>
__device__ __forceinline__ void load(const T* from, A (&to)[V]) {
  const auto pack = load_pack<T, V>(from);
#pragma unroll
  for (int v = 0; v < V; ++v) to[v] = static_cast<A>(pack.values[v]);
}

template <int V, typename T, typename A>
__device__ __forceinline__ void store(T* to, const A (&from)[V]) {
  Pack<T, V> pack;
#pragma unroll
  for (int v = 0; v < V; ++v) pack.values[v] = static_cast<T>(from[v]);
  store_pack(to, pack);
}

/// Parameters of a thread's channels, a multiple of V of which there are.
template <int V, typename A>
__device__ __forceinline__ void load_parameters(const void* from, std::int64_t channel,
                                                A (&to)[V]) {
  load<V>(static_cast<const A*>(from) + channel, to);
}

__device__ __forceinline__ double get(const Parameter& of, std::int64_t i) {
  return of.is_double ? static_cast<const double*>(of.data)[i]
                      : static_cast<double>(static_cast<const float*>(of.data)[i]);
}
__device__ __forceinline__ void set(const Parameter& of, std::int64_t i, double value) {
  if (of.is_double) {
    static_cast<double*>(of.data)[i] = value;
  } else {
    static_cast<float*>(of.data)[i] = static_cast<float>(value);
  }
}

/// A BatchNorm for the channels of a thread.
template <typename A, int V>
struct Coefficients {
  A center[V], scale[V], shift[V];

  __device__ __forceinline__ void read(const OnLoad& load, std::int64_t channel) {
    load_parameters<V>(load.center, channel, center);
    load_parameters<V>(load.scale, channel, scale);
    load_parameters<V>(load.shift, channel, shift);
  }
};

/// Lets NaN through, as at::relu does.
template <typename A>
__device__ __forceinline__ A relu_of(A z) {
  return z < A(0) ? A(0) : z;
}

/// The part of g that passes a ReLU whose input or output was z; NaN passes.
template <typename A>
__device__ __forceinline__ A passed(A g, A z) {
  return z <= A(0) ? A(0) : g;
}

/// `z <= relu_bound(relu)`: whether the ReLU closes. Without a ReLU it is NaN, with which every
/// comparison is false; so is that of a z that is NaN, which passes a ReLU.
template <typename A>
__device__ __forceinline__ A relu_bound(bool relu) {
  return relu ? A(0) : static_cast<A>(NAN);
}

/// Which channels a thread has, and its block's part of the rows or lines.
template <int V>
struct Place {
  template <typename Plan>
  __device__ __forceinline__ explicit Place(const Plan& plan)
      : part(blockIdx.x / static_cast<unsigned>(plan.lanes.across)),
        first_channel(static_cast<std::int64_t>(blockIdx.x) % plan.lanes.across *
                      plan.lanes.threads_x * V),
        channel(first_channel + static_cast<std::int64_t>(threadIdx.x) * V),
        active(channel < plan.channels),
        thread(static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x)) {}

  std::int64_t part;
  std::int64_t first_channel;  ///< of the block
  std::int64_t channel;
  bool active;  ///< whether there are such channels
  int thread;
};

/// Adds every channel over a block's threads, in their order: thread t gets the sum of the block's
/// t-th channel. All threads call it; shared: kThreads * V values.
template <int V, typename A>
__device__ __forceinline__ double block_sum(const A (&own)[V], A* shared, int thread) {
#pragma unroll
  for (int v = 0; v < V; ++v) shared[thread * V + v] = own[v];
  __syncthreads();
  const int channels = static_cast<int>(blockDim.x) * V;
  double sum = 0.0;
  if (thread < channels) {
    for (int y = 0; y < static_cast<int>(blockDim.y); ++y) {
      sum += static_cast<double>(shared[y * channels + thread]);
    }
  }
  __syncthreads();
  return sum;
}

/// block_sum() of kRows rows at once, for one barrier: to[row * channels + c] for the block's
/// channels. shared: kRows * kThreads * V values.
template <int kRows, int V, typename A>
__device__ __forceinline__ void write_block_sums(const A (&own)[kRows][V], A* shared,
                                                 const Place<V>& place, std::int64_t channels,
                                                 double* to) {
  const int across = static_cast<int>(blockDim.x) * V;
  const int all = across * static_cast<int>(blockDim.y);
#pragma unroll
  for (int row = 0; row < kRows; ++row) {
#pragma unroll
    for (int v = 0; v < V; ++v) shared[row * all + place.thread * V + v] = own[row][v];
  }
  __syncthreads();
  for (int i = place.thread; i < kRows * across; i += static_cast<int>(blockDim.x * blockDim.y)) {
    const int row = i / across;
    const std::int64_t channel = place.first_channel + i % across;
    if (channel >= channels) continue;
    double total = 0.0;
    for (int y = 0; y < static_cast<int>(blockDim.y); ++y) {
      total += static_cast<double>(shared[row * all + y * across + i % across]);
    }
    to[row * channels + channel] = total;
  }
}

/// call.operator()<V>() with the plan's width, kWidth or 1, as a constant.
/// Error (std::logic_error): a plan made for a kernel of another width.
template <int kWidth, typename Call>
void with_width(int width, const Call& call) {
  if (width == kWidth) {
    call.template operator()<kWidth>();
  } else if (width == 1) {
    call.template operator()<1>();
  } else {
    throw std::logic_error("a launch plan for vectors of another width");
  }
}

}  // namespace
}  // namespace xception::cuda
