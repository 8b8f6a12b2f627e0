#pragma once

#include <cstdint>

#include "../raw.h"
#include "launch_plan.h"
#include "xception/kernels/update_rule.h"

namespace xception::cuda {

// Launches of the CUDA kernels on raw memory of a device, channels last: an image is rows of C
// channels. One table a dtype. Nothing waits, nothing is allocated, so graphs can capture all of
// it; sums are added in an order that the plan fixes. Every launch is checked: Error (run).
//
// Vectors: where a plan's width isn't 1, the addresses, row strides and C of what the kernel loads
// by vectors are multiples of it (aligned_width() sees to it).

using raw::BatchNormGradient;
using raw::Dtype;
using raw::ImageRows;
using raw::In;
using raw::OnLoad;
using raw::Out;
using raw::Update;
using raw::Window;

/// Where kernels are launched.
struct Queue {
  void* stream = nullptr;  ///< cudaStream_t
  int multiprocessors = 1;
};

/// (C) parameters, float32 or float64.
struct Parameter {
  void* data = nullptr;
  bool is_double = false;
};

/// A BatchNorm's module, and what becomes of it.
struct Normalization {
  Parameter weight = {}, bias = {};
  Parameter running_mean = {}, running_var = {};
  double eps = 0.0, momentum = 0.0;
  double* statistics = nullptr;  ///< (2, C): mean, inverse standard deviation
  void* coefficients = nullptr;  ///< A (3, C): center, scale, shift
};

/// Rows of partial sums, and what they become; null pointers: not wanted.
/// A depthwise weight's nine rows (tap by tap) come first, then BatchNorm's: g, g * (x - center).
struct Sums {
  const double* partial = nullptr;  ///< (parts, rows, C)
  std::int64_t parts = 0, channels = 0;
  Parameter d_depthwise = {};  ///< (C, 9)
  // BatchNorm's, where d_weight isn't null.
  Parameter weight = {};
  const double* statistics = nullptr;
  double count = 0.0;  ///< values of a channel, or 0 where the statistics were constants
  Parameter d_weight = {}, d_bias = {};
  void* input = nullptr;  ///< A (2, C): slope, offset
};

/// Several parameters of one launch, which carries this as its argument.
struct Updates {
  static constexpr int kMost = 32;

  Update of[kMost];
  bool by_vectors[kMost] = {};           ///< whether all addresses are multiples of a vector's size
  std::int64_t first_block[kMost] = {};  ///< kUpdateValues values a block
  int count = 0;
  std::int64_t blocks = 0;

  /// Bytes of a T and of an A.
  void add(const Update& update, std::int64_t narrow, std::int64_t wide) {
    const auto misplaced = [width = forward_width(narrow)](const void* data, std::int64_t bytes) {
      return reinterpret_cast<std::uintptr_t>(data) % static_cast<std::uintptr_t>(width * bytes);
    };
    of[count] = update;
    by_vectors[count] = (misplaced(update.parameter, wide) | misplaced(update.gradient, narrow) |
                         misplaced(update.first, wide) | misplaced(update.second, wide) |
                         misplaced(update.copy, narrow)) == 0;
    first_block[count] = blocks;
    blocks += update_blocks(update.count);
    ++count;
  }
};

/// Scalars of a step; null pointers: the default.
struct UpdatePointers {
  Parameter lr = {}, step = {};
  Parameter inverse_scale = {};  ///< 1
  Parameter found_inf = {};      ///< 0
};

constexpr std::int64_t kDepthwiseSums = 9;
constexpr std::int64_t kBatchNormSums = 2;

struct Kernels {
  /// partial (parts, 2, C): mean and sum of squared distances from it, of each part.
  void (*statistics)(const Queue&, const RowsPlan&, In x, double* partial) = nullptr;
  /// Merges the parts; updates the running statistics.
  void (*finish_statistics)(const Queue&, const RowsPlan&, const double* partial,
                            const Normalization&) = nullptr;
  /// From the running statistics.
  void (*constant_statistics)(const Queue&, std::int64_t channels, const Normalization&) = nullptr;
  /// y = z(x) (+ residual), then ReLU.
  void (*bn_forward)(const Queue&, const RowsPlan&, In x, In residual, Out y,
                     const OnLoad&) = nullptr;
  /// partial (parts, 2, C): sums of g and g * (x - center); the ReLU's mask from `output`, or from
  /// x where that is null.
  void (*bn_reduce)(const Queue&, const RowsPlan&, In dy, In x, In output, const OnLoad&,
                    double* partial) = nullptr;
  void (*finish_sums)(const Queue&, const Sums&) = nullptr;
  /// dx and, where not null, d_residual = g.
  void (*bn_backward)(const Queue&, const RowsPlan&, In dy, In x, In output, Out dx, Out d_residual,
                      const BatchNormGradient&) = nullptr;
  /// plan: of y's lines, or of pairs of them: can_pair(), stride and padding 1, all places fit 32
  /// bits. weight: (C, 9). y is contiguous.
  void (*depthwise_forward)(const Queue&, const LinesPlan&, In x, void* y, const Window&,
                            const OnLoad&, const Parameter& weight) = nullptr;
  /// plan: of x's lines, or of pairs, as above. g: the gradient of x where there is no BatchNorm,
  /// of z before the ReLU where there is. partial: (parts, 9, C), or (parts, 11, C) with a
  /// BatchNorm. dy, g, added
  /// (to g; null: nothing): contiguous.
  void (*depthwise_backward)(const Queue&, const LinesPlan&, const void* dy, In x, void* g,
                             const Window&, const OnLoad&, const Parameter& weight,
                             const void* added, double* partial) = nullptr;
  /// plan: of y's lines. Maximum of what is read (+ residual) and, where index isn't null, its
  /// place in the window: 3 * row + column. source: with a BatchNorm, where not null, x in that
  /// place.
  void (*pool_forward)(const Queue&, const LinesPlan&, const void* x, const OnLoad&,
                       const void* residual, void* y, std::uint8_t* index, void* source,
                       const Window&) = nullptr;
  /// plan: of dx's lines. x and the gradient: of a BatchNorm, or null pointers.
  void (*pool_backward)(const Queue&, const LinesPlan&, const void* dy, const std::uint8_t* index,
                        const void* x, void* dx, const Window&, const BatchNormGradient&) = nullptr;
  /// plan: of y's lines. The mean of the 3x3 pixels around each; zeros surround x.
  void (*average)(const Queue&, const LinesPlan&, In x, Out y, const Window&) = nullptr;
  /// plan: of dx's lines. The gradient of means of size * size pixels; the window's size is its
  /// own.
  void (*average_backward)(const Queue&, const LinesPlan&, const void* dy, void* dx, const Window&,
                           int size) = nullptr;
  void (*image_rows)(const Queue&, const ImageRowsPlan&, const ImageRows&, void* y) = nullptr;
  void (*update)(const Queue&, const Updates&, const UpdateRule&, const UpdatePointers&) = nullptr;
};

// Each in a source of its own, so that they compile side by side.
const Kernels& half_kernels();
const Kernels& bfloat16_kernels();
const Kernels& float32_kernels();
const Kernels& float64_kernels();

const Kernels& kernels(Dtype dtype);

}  // namespace xception::cuda
