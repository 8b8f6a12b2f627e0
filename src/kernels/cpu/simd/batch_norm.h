#pragma once

#include "vector.h"

namespace xception::cpu {
namespace {

/// Rows whose sums are kept in A before they are added to doubles.
constexpr std::int64_t kTileRows = 32;

/// Mean and M2 by tiles of rows: distances from the tile's first row are summed, so what cancels is
/// of the size of the spread, not of the mean; being one of the tile's values, the first row is no
/// farther from the others than the tile's own M2 says. Tiles are merged as Chan et al. do (1979).
template <typename T>
void statistics(const void* x_, Rows rows, double* mean, double* m2, void* scratch) {
  using A = typename Arithmetic<T>::A;
  using V = typename Arithmetic<T>::V;
  const auto* x = static_cast<const T*>(x_);
  const std::int64_t channels = rows.channels;
  auto* sum = static_cast<A*>(scratch);
  auto* square = sum + padded(channels);
  auto* pivot = square + padded(channels);
  for (std::int64_t c = 0; c < channels; ++c) mean[c] = m2[c] = 0.0;
  for (std::int64_t start = 0; start < rows.count; start += kTileRows) {
    const std::int64_t count = rows.count - start < kTileRows ? rows.count - start : kTileRows;
    const T* tile = x + start * channels;
    for (std::int64_t c = 0; c < channels; c += kLanes) {
      store(pivot + c, load(tile + c, channels - c));
      store(sum + c, V{});
      store(square + c, V{});
    }
    for (std::int64_t r = 1; r < count; ++r) {
      for (std::int64_t c = 0; c < channels; c += kLanes) {
        const V d = load(tile + r * channels + c, channels - c) - load(pivot + c);
        store(sum + c, load(sum + c) + d);
        store(square + c, load(square + c) + d * d);
      }
    }
    const auto n = static_cast<double>(count);
    const auto before = static_cast<double>(start);
    for (std::int64_t c = 0; c < channels; ++c) {
      const double s = static_cast<double>(sum[c]);
      const double tile_m2 = static_cast<double>(square[c]) - s * s / n;
      const double delta = static_cast<double>(pivot[c]) + s / n - mean[c];
      mean[c] += delta * (n / (before + n));
      // Written so that NaN stays NaN.
      m2[c] += (tile_m2 < 0.0 ? 0.0 : tile_m2) + delta * delta * (before * n / (before + n));
    }
  }
}

template <typename T, bool with_residual, bool with_relu>
void bn_forward_as(const T* x, const T* residual, T* y, Rows rows, const OnLoad& on_load) {
  using A = typename Arithmetic<T>::A;
  using V = typename Arithmetic<T>::V;
  const std::int64_t channels = rows.channels;
  for (std::int64_t r = 0; r < rows.count; ++r) {
    const std::int64_t row = r * channels;
    for (std::int64_t c = 0; c < channels; c += kLanes) {
      const std::int64_t n = channels - c;
      const LoadVector<V> on(on_load, c, n, A{});
      V z = (load(x + row + c, n) - on.center) * on.scale + on.shift;
      if constexpr (with_residual) z += load(residual + row + c, n);
      if constexpr (with_relu) z = relu(z);
      store(y + row + c, z, n);
    }
  }
}

template <typename T>
void bn_forward(const void* x, const void* residual, void* y, Rows rows, const OnLoad& on_load) {
  const auto call = [&]<bool with_residual, bool with_relu>() {
    bn_forward_as<T, with_residual, with_relu>(static_cast<const T*>(x),
                                               static_cast<const T*>(residual), static_cast<T*>(y),
                                               rows, on_load);
  };
  if (residual != nullptr) {
    on_load.relu ? call.template operator()<true, true>() : call.template operator()<true, false>();
  } else {
    on_load.relu ? call.template operator()<false, true>()
                 : call.template operator()<false, false>();
  }
}

enum class Mask { none, input, output };

/// Calls with the mask as a constant.
template <typename Call>
inline void with_mask(const OnLoad& on_load, const void* output, const Call& call) {
  if (!on_load.relu) {
    call.template operator()<Mask::none>();
  } else if (output == nullptr) {
    call.template operator()<Mask::input>();
  } else {
    call.template operator()<Mask::output>();
  }
}

/// g of one vector; `distance` is x - center.
template <Mask mask, typename T, typename V>
inline V masked(const V& dy, const V& distance, const LoadVector<V>& on, const T* output,
                std::int64_t at, std::int64_t n) {
  if constexpr (mask == Mask::input) return passed<V>(dy, distance * on.scale + on.shift);
  if constexpr (mask == Mask::output) return passed<V>(dy, load(output + at, n));
  return dy;
}

template <typename T>
void bn_reduce(const void* dy_, const void* x_, const void* output_, Rows rows,
               const OnLoad& on_load, double* gradient, double* centered, void* scratch) {
  using A = typename Arithmetic<T>::A;
  using V = typename Arithmetic<T>::V;
  const auto* dy = static_cast<const T*>(dy_);
  const auto* x = static_cast<const T*>(x_);
  const auto* output = static_cast<const T*>(output_);
  const std::int64_t channels = rows.channels;
  auto* sum = static_cast<A*>(scratch);
  auto* product = sum + padded(channels);
  with_mask(on_load, output, [&]<Mask mask>() {
    for (std::int64_t start = 0; start < rows.count; start += kTileRows) {
      const std::int64_t end = rows.count - start < kTileRows ? rows.count : start + kTileRows;
      for (std::int64_t c = 0; c < channels; c += kLanes) {
        store(sum + c, V{});
        store(product + c, V{});
      }
      for (std::int64_t r = start; r < end; ++r) {
        const std::int64_t row = r * channels;
        for (std::int64_t c = 0; c < channels; c += kLanes) {
          const std::int64_t n = channels - c;
          const LoadVector<V> on(on_load, c, n, A{});
          const V distance = load(x + row + c, n) - on.center;
          const V g = masked<mask>(load(dy + row + c, n), distance, on, output, row + c, n);
          store(sum + c, load(sum + c) + g);
          store(product + c, load(product + c) + g * distance);
        }
      }
      add_to(gradient, sum, channels);
      add_to(centered, product, channels);
    }
  });
}

template <typename T>
void bn_backward(const void* dy_, const void* x_, const void* output_, void* dx_, void* d_residual_,
                 Rows rows, const BatchNormGradient& of) {
  using A = typename Arithmetic<T>::A;
  using V = typename Arithmetic<T>::V;
  const auto* dy = static_cast<const T*>(dy_);
  const auto* x = static_cast<const T*>(x_);
  const auto* output = static_cast<const T*>(output_);
  auto* dx = static_cast<T*>(dx_);
  auto* d_residual = static_cast<T*>(d_residual_);
  const auto* slope = static_cast<const A*>(of.slope);
  const auto* offset = static_cast<const A*>(of.offset);
  const std::int64_t channels = rows.channels;
  with_mask(of.load, output, [&]<Mask mask>() {
    for (std::int64_t r = 0; r < rows.count; ++r) {
      const std::int64_t row = r * channels;
      for (std::int64_t c = 0; c < channels; c += kLanes) {
        const std::int64_t n = channels - c;
        const LoadVector<V> on(of.load, c, n, A{});
        const V distance = load(x + row + c, n) - on.center;
        const V g = masked<mask>(load(dy + row + c, n), distance, on, output, row + c, n);
        if (d_residual != nullptr) store(d_residual + row + c, g, n);
        store(dx + row + c, g * on.scale + distance * load(slope + c, n) + load(offset + c, n), n);
      }
    }
  });
}

}  // namespace
}  // namespace xception::cpu
