#pragma once

#include <torch/types.h>

#include <cstdint>
#include <span>
#include <vector>

namespace xception {

/// Pixels `first` to `first + count - 1` of an axis.
struct Span {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

/// What a chain of resizes, crops and flips does along one axis of one image, as the few source
/// pixels and weights of each output pixel: an AxisMaps' map without its zeros, for CPUs.
struct Taps {
  /// The weighted source pixels of an output pixel; none: it is black.
  struct Row {
    std::int64_t first = 0;  ///< source pixel
    std::int64_t at = 0;     ///< of its first weight in `weights`
    std::int64_t count = 0;
  };

  std::int64_t input = 0;  ///< length of the source, px
  std::vector<Row> rows = {};
  std::vector<float> weights = {};

  /// Output pixel i is source pixel i + offset, or black outside of it.
  [[nodiscard]] static Taps shift(std::int64_t offset, std::int64_t output, std::int64_t input);

  /// As `resample_map`: `length` pixels from `start` to `output` pixels.
  [[nodiscard]] static Taps resample(std::int64_t start, std::int64_t length, std::int64_t output,
                                     std::int64_t input);

  /// Of a map, float32 (1, output, input).
  [[nodiscard]] static Taps of_map(const torch::Tensor& map);

  /// The output mirrored.
  void reverse();

  /// These, then `next`, whose source they lead to.
  [[nodiscard]] Taps then(const Taps& next) const;

  /// The source pixels from the first to the last that count; one, if none does.
  [[nodiscard]] Span source() const;
};

}  // namespace xception
