#pragma once

#include "device.cuh"

namespace xception::cuda {
namespace {

/// Rows first .. last - 1 of an image, outside of which a line's weights are zero.
struct Taps {
  int first, last;
};

/// The lanes of a warp look at a line's weights side by side. All threads of a block call it;
/// weights may be null: none. found: of kThreads, joined: of kImageLines, in shared memory.
__device__ __forceinline__ Taps taps_of(const float* weights, int height, Taps* found,
                                        Taps* joined) {
  const int lane = static_cast<int>(threadIdx.x);
  const int line = static_cast<int>(threadIdx.y);
  Taps own = {height, 0};
  for (int h = lane; weights != nullptr && h < height; h += kLanes) {
    if (weights[h] == 0.0F) continue;
    own.first = own.first < h ? own.first : h;
    own.last = h + 1;
  }
  found[line * kLanes + lane] = own;
  __syncthreads();
  if (lane == 0) {
    for (int i = 1; i < kLanes; ++i) {
      const Taps other = found[line * kLanes + i];
      own.first = own.first < other.first ? own.first : other.first;
      own.last = own.last > other.last ? own.last : other.last;
    }
    joined[line] = own;
  }
  __syncthreads();
  return joined[line];
}

/// One value a color, in registers.
struct Colors {
  __device__ __forceinline__ explicit Colors(const float* values)
      : red(values[0]), green(values[1]), blue(values[2]) {}
  __device__ __forceinline__ float of(int value) const {
    const int color = value % raw::kColors;
    return color == 0 ? red : (color == 1 ? green : blue);
  }

  float red, green, blue;
};

template <typename T, int V>
__global__ void __launch_bounds__(kThreads)
    image_rows(ImageRowsPlan plan, ImageRows of, T* __restrict__ y) {
  XCEPTION_SHARED(Taps, found, kThreads);
  XCEPTION_SHARED(Taps, joined, kImageLines);
  const Colors scale(of.scale);
  const Colors offset(of.offset);
  const int values = static_cast<int>(of.values);
  for (std::int64_t group = blockIdx.x; group * kImageLines < plan.lines; group += plan.blocks) {
    const std::int64_t line = group * kImageLines + threadIdx.y;
    const bool inside = line < plan.lines;
    const std::int64_t image = line / of.out_height;
    const int row = static_cast<int>(line % of.out_height);
    const float* weights = nullptr;
    Taps taps = {row, row + 1};
    if (of.rows != nullptr) {
      if (inside) weights = of.rows + image * of.rows_stride + row * of.height;
      taps = taps_of(weights, static_cast<int>(of.height), found, joined);
    }
    if (!inside) continue;
    const float* from = of.columns + image * of.height * of.values;
    for (int i = static_cast<int>(threadIdx.x) * V; i < values; i += kLanes * V) {
      float sum[V] = {};
      for (int h = taps.first; h < taps.last; ++h) {
        const float weight = weights == nullptr ? 1.0F : weights[h];
        float x[V];
        load<V>(from + h * of.values + i, x);
#pragma unroll
        for (int v = 0; v < V; ++v) sum[v] = fmaf(weight, x[v], sum[v]);
      }
#pragma unroll
      for (int v = 0; v < V; ++v) sum[v] = fmaf(rintf(sum[v]), scale.of(i + v), offset.of(i + v));
      store<V>(y + line * of.values + i, sum);
    }
  }
}

template <typename T>
void launch_image_rows(const Queue& queue, const ImageRowsPlan& plan, const ImageRows& of,
                       void* y) {
  with_width<forward_width(sizeof(T))>(plan.width, [&]<int V>() {
    launch("image_rows", image_rows<T, V>, plan.grid(), queue, plan, of, static_cast<T*>(y));
  });
}

}  // namespace
}  // namespace xception::cuda
