#pragma once

#include "device.cuh"

namespace xception::cuda {
namespace {

/// A Window in 32 bits: no line of an image is that long.
struct WindowShape {
  int height = 0, width = 0;
  int out_height = 0, out_width = 0;
  int stride = 1, padding = 0;
  std::int64_t channels = 0;
};

inline WindowShape shape_of(const Window& w) {
  return {.height = static_cast<int>(w.height),
          .width = static_cast<int>(w.width),
          .out_height = static_cast<int>(w.out_height),
          .out_width = static_cast<int>(w.out_width),
          .stride = static_cast<int>(w.stride),
          .padding = static_cast<int>(w.padding),
          .channels = w.channels};
}

/// What a thread does of a unit: positions first .. last - 1 of one line of one image.
struct Segment {
  /// height: lines of an image.
  __device__ __forceinline__ Segment(const LinesPlan& plan, std::int64_t unit, int height) {
    line = unit / plan.segments * blockDim.y + threadIdx.y;
    inside = line < plan.lines;
    image = line / height;
    row = static_cast<int>(line % height);
    first = static_cast<int>(unit % plan.segments) * plan.columns;
    last = first + plan.columns < plan.positions ? first + plan.columns : plan.positions;
  }

  std::int64_t line;  ///< among those of all images
  std::int64_t image;
  int row;
  int first, last;
  bool inside;  ///< whether there is such a line
};

}  // namespace
}  // namespace xception::cuda
