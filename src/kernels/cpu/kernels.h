#pragma once

#include <cstdint>

#include "../raw.h"
#include "../update_math.h"

namespace xception::cpu {

// Serial kernels on raw memory, channels last: an image is rows of C channels. One table a dtype;
// T is the dtype of images, A that of arithmetic (float, or double where T is double). Callers
// split the work over threads and own all memory.

using raw::BatchNormGradient;
using raw::Dtype;
using raw::ImageRows;
using raw::In;
using raw::OnLoad;
using raw::Out;
using raw::Update;
using raw::Window;

/// Rows of a matrix (rows, C).
struct Rows {
  std::int64_t count = 0;
  std::int64_t channels = 0;
};

/// Sums over the positions that a call went through; added to what is there.
struct DepthwiseSums {
  double* weight = nullptr;    ///< (9, C): the weight's gradient
  double* gradient = nullptr;  ///< (C): sum of g; null where nothing was normalized
  double* centered = nullptr;  ///< (C): sum of g * (x - center)
};

struct Kernels {
  /// Mean and sum of squared distances from it, of each channel. scratch: A (3, padded C).
  void (*statistics)(In x, Rows rows, double* mean, double* m2, void* scratch) = nullptr;
  /// y = z(x) (+ residual), then ReLU.
  void (*bn_forward)(In x, In residual, Out y, Rows rows, const OnLoad& load) = nullptr;
  /// Adds sum(g) and sum(g * (x - center)); the ReLU's mask from `output`, or from x where that is
  /// null. scratch: A (2, padded C).
  void (*bn_reduce)(In dy, In x, In output, Rows rows, const OnLoad& load, double* gradient,
                    double* centered, void* scratch) = nullptr;
  /// dx and, where not null, d_residual = g.
  void (*bn_backward)(In dy, In x, In output, Out dx, Out d_residual, Rows rows,
                      const BatchNormGradient& gradient) = nullptr;
  /// Images first .. last - 1. weight: A (9, padded C). scratch: depthwise_scratch() of A, zero.
  void (*depthwise_forward)(const void* x, void* y, std::int64_t first, std::int64_t last,
                            const Window& window, const OnLoad& load, const void* weight,
                            void* scratch) = nullptr;
  /// g, the gradient of x where there is no BatchNorm, of z before the ReLU where there is.
  /// scratch: depthwise_scratch() of A, zero.
  void (*depthwise_backward)(const void* dy, const void* x, void* g, std::int64_t first,
                             std::int64_t last, const Window& window, const OnLoad& load,
                             const void* weight, const DepthwiseSums& sums,
                             void* scratch) = nullptr;
  /// Maximum (+ residual) and, where index isn't null, its place in the window: 3 * row + column.
  void (*pool_forward)(const void* x, const void* residual, void* y, std::uint8_t* index,
                       std::int64_t first, std::int64_t last, const Window& window) = nullptr;
  void (*pool_backward)(const void* dy, const std::uint8_t* index, void* dx, std::int64_t first,
                        std::int64_t last, const Window& window) = nullptr;
  /// Lines first .. last - 1 among those of all images of y.
  void (*image_rows)(const ImageRows& of, void* y, std::int64_t first, std::int64_t last) = nullptr;
  /// Values first .. last - 1.
  void (*update)(const Update& of, UpdateKind kind, const UpdateNumbers& numbers,
                 std::int64_t first, std::int64_t last) = nullptr;
};

/// Floats of the longest vectors, and what padded channel counts are a multiple of.
constexpr std::int64_t kMostLanes = 16;

constexpr std::int64_t padded(std::int64_t channels) {
  return (channels + kMostLanes - 1) / kMostLanes * kMostLanes;
}

/// Elements of the depthwise kernels' scratch: three lines of an image with its halo, a line of
/// zeros, the sums of an image.
constexpr std::int64_t depthwise_scratch(const Window& window) {
  return (4 * (window.width + 2) + 11) * padded(window.channels);
}

// The same source, compiled for three instruction sets.
namespace baseline {
const Kernels& kernels(Dtype dtype);
}
namespace avx2 {
const Kernels& kernels(Dtype dtype);
}
namespace avx512 {
const Kernels& kernels(Dtype dtype);
}

/// The kernels for the widest instruction set that this machine has.
const Kernels& kernels(Dtype dtype);

}  // namespace xception::cpu
