#pragma once

#include "vector.h"

namespace xception::cpu {
namespace {

/// Rows whose sums are kept in A before they are added to doubles.
constexpr std::int64_t kTileRows = 32;

/// Row r; null where there are no rows.
template <typename T>
inline const T* row_of(const In& from, std::int64_t r) {
  return from.data == nullptr ? nullptr : static_cast<const T*>(from.data) + r * from.stride;
}
template <typename T>
inline T* row_of(const Out& to, std::int64_t r) {
  return to.data == nullptr ? nullptr : static_cast<T*>(to.data) + r * to.stride;
}

/// Mean and M2 by tiles of rows: distances from the tile's first row are summed, so what cancels is
/// of the size of the spread, not of the mean; being one of the tile's values, the first row is no
/// farther from the others than the tile's own M2 says. Tiles are merged as Chan et al. do (1979).
template <typename T>
void statistics(In x, Rows rows, double* mean, double* m2, void* scratch) {
  using A = typename Arithmetic<T>::A;
  using V = typename Arithmetic<T>::V;
  const std::int64_t channels = rows.channels;
  auto* sum = static_cast<A*>(scratch);
  auto* square = sum + padded(channels);
  auto* pivot = square + padded(channels);
  for (std::int64_t c = 0; c < channels; ++c) mean[c] = m2[c] = 0.0;
  for (std::int64_t start = 0; start < rows.count; start += kTileRows) {
    const std::int64_t count = rows.count - start < kTileRows ? rows.count - start : kTileRows;
    const T* tile = row_of<T>(x, start);
    for (std::int64_t c = 0; c < channels; c += kLanes) {
      store(pivot + c, load(tile + c, channels - c));
      store(sum + c, V{});
      store(square + c, V{});
    }
    for (std::int64_t r = 1; r < count; ++r) {
      for (std::int64_t c = 0; c < channels; c += kLanes) {
        const V d = load(tile + (r * x.stride + c), channels - c) - load(pivot + c);
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
void bn_forward_as(const In& from, const In& added, const Out& to, Rows rows,
                   const OnLoad& on_load) {
  using A = typename Arithmetic<T>::A;
  using V = typename Arithmetic<T>::V;
  for (std::int64_t r = 0; r < rows.count; ++r) {
    const T* x = row_of<T>(from, r);
    const T* residual = row_of<T>(added, r);
    T* y = row_of<T>(to, r);
    for (std::int64_t c = 0; c < rows.channels; c += kLanes) {
      const std::int64_t n = rows.channels - c;
      const LoadVector<V> on(on_load, c, n, A{});
      V z = (load(x + c, n) - on.center) * on.scale + on.shift;
      if constexpr (with_residual) z += load(residual + c, n);
      if constexpr (with_relu) z = relu(z);
      store(y + c, z, n);
    }
  }
}

template <typename T>
void bn_forward(In x, In residual, Out y, Rows rows, const OnLoad& on_load) {
  const auto call = [&]<bool with_residual, bool with_relu>() {
    bn_forward_as<T, with_residual, with_relu>(x, residual, y, rows, on_load);
  };
  if (residual.data != nullptr) {
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

/// g of one vector; `distance` is x - center, `output` where the vector's is.
template <Mask mask, typename T, typename V>
inline V masked(const V& dy, const V& distance, const LoadVector<V>& on, const T* output,
                std::int64_t n) {
  if constexpr (mask == Mask::input) return passed<V>(dy, distance * on.scale + on.shift);
  if constexpr (mask == Mask::output) return passed<V>(dy, load(output, n));
  return dy;
}

template <typename T>
void bn_reduce(In dys, In xs, In outputs, Rows rows, const OnLoad& on_load, double* gradient,
               double* centered, void* scratch) {
  using A = typename Arithmetic<T>::A;
  using V = typename Arithmetic<T>::V;
  const std::int64_t channels = rows.channels;
  auto* sum = static_cast<A*>(scratch);
  auto* product = sum + padded(channels);
  with_mask(on_load, outputs.data, [&]<Mask mask>() {
    for (std::int64_t start = 0; start < rows.count; start += kTileRows) {
      const std::int64_t end = rows.count - start < kTileRows ? rows.count : start + kTileRows;
      for (std::int64_t c = 0; c < channels; c += kLanes) {
        store(sum + c, V{});
        store(product + c, V{});
      }
      for (std::int64_t r = start; r < end; ++r) {
        const T* dy = row_of<T>(dys, r);
        const T* x = row_of<T>(xs, r);
        const T* output = row_of<T>(outputs, r);
        for (std::int64_t c = 0; c < channels; c += kLanes) {
          const std::int64_t n = channels - c;
          const LoadVector<V> on(on_load, c, n, A{});
          const V distance = load(x + c, n) - on.center;
          const V g = masked<mask>(load(dy + c, n), distance, on, output + c, n);
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
void bn_backward(In dys, In xs, In outputs, Out dxs, Out d_residuals, Rows rows,
                 const BatchNormGradient& of) {
  using A = typename Arithmetic<T>::A;
  using V = typename Arithmetic<T>::V;
  const auto* slope = static_cast<const A*>(of.slope);
  const auto* offset = static_cast<const A*>(of.offset);
  with_mask(of.load, outputs.data, [&]<Mask mask>() {
    for (std::int64_t r = 0; r < rows.count; ++r) {
      const T* dy = row_of<T>(dys, r);
      const T* x = row_of<T>(xs, r);
      const T* output = row_of<T>(outputs, r);
      T* dx = row_of<T>(dxs, r);
      T* d_residual = row_of<T>(d_residuals, r);
      for (std::int64_t c = 0; c < rows.channels; c += kLanes) {
        const std::int64_t n = rows.channels - c;
        const LoadVector<V> on(of.load, c, n, A{});
        const V distance = load(x + c, n) - on.center;
        const V g = masked<mask>(load(dy + c, n), distance, on, output + c, n);
        if (d_residual != nullptr) store(d_residual + c, g, n);
        store(dx + c, g * on.scale + distance * load(slope + c, n) + load(offset + c, n), n);
      }
    }
  });
}

}  // namespace
}  // namespace xception::cpu
