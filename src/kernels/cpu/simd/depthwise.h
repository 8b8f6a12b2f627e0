#pragma once

#include "vector.h"

namespace xception::cpu {
namespace {

enum class Prologue { none, relu, bn, bn_relu };

constexpr bool has_bn(Prologue p) {
  return p == Prologue::bn || p == Prologue::bn_relu;
}
constexpr bool has_relu(Prologue p) {
  return p == Prologue::relu || p == Prologue::bn_relu;
}

template <typename Call>
inline void with_prologue(const OnLoad& on_load, const Call& call) {
  if (on_load.center != nullptr) {
    on_load.relu ? call.template operator()<Prologue::bn_relu>()
                 : call.template operator()<Prologue::bn>();
  } else {
    on_load.relu ? call.template operator()<Prologue::relu>()
                 : call.template operator()<Prologue::none>();
  }
}

/// Lines of an image in A, with their halo: (channels / kLanes, width + 2, kLanes), so that a
/// vector's neighbors lie side by side. Three are kept, line r in place r % 3; a fourth is zero.
template <typename A>
class Lines {
 public:
  Lines(A* memory, const Window& window)
      : memory_(memory), width_(window.width + 2), size_(width_ * padded(window.channels)) {}

  A* line(std::int64_t row) const { return memory_ + (row % 3) * size_; }
  const A* zeros() const { return memory_ + 3 * size_; }
  /// Where position `column` of the vector of channels at `channel` is.
  std::int64_t at(std::int64_t channel, std::int64_t column) const {
    return channel * width_ + column * kLanes;
  }
  A* behind() const { return memory_ + 4 * size_; }

 private:
  A* memory_;
  std::int64_t width_, size_;
};

template <typename T, Prologue prologue>
void forward_image(const T* x, T* y, const Window& w, const OnLoad& on_load,
                   const typename Arithmetic<T>::A* weight, typename Arithmetic<T>::A* scratch) {
  using A = typename Arithmetic<T>::A;
  using V = typename Arithmetic<T>::V;
  const Lines<A> lines(scratch, w);
  const std::int64_t stride_c = padded(w.channels);
  const auto fill = [&](std::int64_t row) {
    A* line = lines.line(row);
    for (std::int64_t i = 0; i < w.width; ++i) {
      const T* from = x + (row * w.width + i) * w.channels;
      for (std::int64_t c = 0; c < w.channels; c += kLanes) {
        const std::int64_t n = w.channels - c;
        V z = load(from + c, n);
        if constexpr (has_bn(prologue)) {
          const LoadVector<V> on(on_load, c, n, A{});
          z = (z - on.center) * on.scale + on.shift;
        }
        if constexpr (has_relu(prologue)) z = relu(z);
        store(line + lines.at(c, i + w.padding), z);
      }
    }
  };
  std::int64_t filled = 0;  // lines before this one are there
  for (std::int64_t o = 0; o < w.out_height; ++o) {
    const A* row[3];
    for (std::int64_t k = 0; k < 3; ++k) {
      const std::int64_t r = o * w.stride - w.padding + k;
      const bool inside = r >= 0 && r < w.height;
      if (inside && filled < r) filled = r;  // stride 2 without padding never needs some
      if (inside && r >= filled) {
        fill(r);
        filled = r + 1;
      }
      row[k] = inside ? lines.line(r) : lines.zeros();
    }
    for (std::int64_t c = 0; c < w.channels; c += kLanes) {
      V tap[9];
      for (int k = 0; k < 9; ++k) tap[k] = load(weight + k * stride_c + c);
      for (std::int64_t i = 0; i < w.out_width; ++i) {
        const std::int64_t at = lines.at(c, i * w.stride);
        V sum = {};
        for (int k = 0; k < 9; ++k) sum += tap[k] * load(row[k / 3] + at + (k % 3) * kLanes);
        store(y + (o * w.out_width + i) * w.channels + c, sum, w.channels - c);
      }
    }
  }
}

template <typename T>
void depthwise_forward(const void* x, void* y, std::int64_t first, std::int64_t last,
                       const Window& w, const OnLoad& on_load, const void* weight, void* scratch) {
  using A = typename Arithmetic<T>::A;
  with_prologue(on_load, [&]<Prologue prologue>() {
    for (std::int64_t image = first; image < last; ++image) {
      forward_image<T, prologue>(
          static_cast<const T*>(x) + image * w.height * w.width * w.channels,
          static_cast<T*>(y) + image * w.out_height * w.out_width * w.channels, w, on_load,
          static_cast<const A*>(weight), static_cast<A*>(scratch));
    }
  });
}

/// One vector of channels of one line of the input's gradient, and what it adds to the sums.
/// row: the lines of dy under the three rows of the weight.
template <typename T, Prologue prologue, typename A = typename Arithmetic<T>::A>
inline void backward_vector(const A* const* row, const T* x, T* g_out, const Window& w,
                            const OnLoad& on_load, const A* weight, std::int64_t c, std::int64_t at,
                            A* sums) {
  using V = typename Arithmetic<T>::V;
  const std::int64_t n = w.channels - c;
  const std::int64_t stride_c = padded(w.channels);
  const LoadVector<V> on(on_load, c, n, A{});
  V tap[9];
  V d_tap[9];
  for (int k = 0; k < 9; ++k) {
    tap[k] = load(weight + k * stride_c + c);
    d_tap[k] = load(sums + k * stride_c + c);
  }
  V sum = {};
  V product = {};
  for (std::int64_t i = 0; i < w.width; ++i) {
    V distance = load(x + i * w.channels + c, n);
    V z = distance;
    if constexpr (has_bn(prologue)) {
      distance -= on.center;
      z = distance * on.scale + on.shift;
    }
    V value = z;
    if constexpr (has_relu(prologue)) value = relu(z);
    V g = {};
    for (int k = 0; k < 9; ++k) {
      const V dy = load(row[k / 3] + at + (i + 2 - k % 3) * kLanes);
      g += tap[k] * dy;
      d_tap[k] += value * dy;
    }
    if constexpr (has_relu(prologue)) g = passed<V>(g, z);
    if constexpr (has_bn(prologue)) {
      sum += g;
      product += g * distance;
    }
    store(g_out + i * w.channels + c, g, n);
  }
  for (int k = 0; k < 9; ++k) store(sums + k * stride_c + c, d_tap[k]);
  if constexpr (has_bn(prologue)) {
    store(sums + 9 * stride_c + c, load(sums + 9 * stride_c + c) + sum);
    store(sums + 10 * stride_c + c, load(sums + 10 * stride_c + c) + product);
  }
}

/// dy is seen at the input's resolution, zeros between its values where the stride is 2: position d
/// of a line of it lies at d + 2 - padding, which is under tap k for the input's position d +
/// padding - k.
template <typename T, Prologue prologue>
void backward_image(const T* dy, const T* x, T* g, const Window& w, const OnLoad& on_load,
                    const typename Arithmetic<T>::A* weight, const DepthwiseSums& total,
                    typename Arithmetic<T>::A* scratch) {
  using A = typename Arithmetic<T>::A;
  using V = typename Arithmetic<T>::V;
  const Lines<A> lines(scratch, w);
  A* sums = lines.behind();
  const std::int64_t stride_c = padded(w.channels);
  for (std::int64_t i = 0; i < 11 * stride_c; i += kLanes) store(sums + i, V{});
  // A line of dy is in place (its row) % 3, its row not multiplied by the stride.
  const auto fill = [&](std::int64_t row) {
    for (std::int64_t i = 0; i < w.out_width; ++i) {
      const T* from = dy + (row * w.out_width + i) * w.channels;
      for (std::int64_t c = 0; c < w.channels; c += kLanes) {
        store(lines.line(row) + lines.at(c, i * w.stride + 2 - w.padding),
              load(from + c, w.channels - c));
      }
    }
  };
  std::int64_t filled = 0;
  for (std::int64_t r = 0; r < w.height; ++r) {
    const A* row[3];
    for (std::int64_t k = 2; k >= 0; --k) {  // from the upper line of dy to the lower
      const std::int64_t dilated = r + w.padding - k;
      const std::int64_t o = dilated / w.stride;
      const bool there = dilated >= 0 && dilated % w.stride == 0 && o < w.out_height;
      if (there && o >= filled) {
        fill(o);
        filled = o + 1;
      }
      row[k] = there ? lines.line(o) : lines.zeros();
    }
    for (std::int64_t c = 0; c < w.channels; c += kLanes) {
      backward_vector<T, prologue>(row, x + r * w.width * w.channels, g + r * w.width * w.channels,
                                   w, on_load, weight, c, lines.at(c, 0), sums);
    }
  }
  for (std::int64_t k = 0; k < 9; ++k) {
    add_to(total.weight + k * w.channels, sums + k * stride_c, w.channels);
  }
  if constexpr (has_bn(prologue)) {
    add_to(total.gradient, sums + 9 * stride_c, w.channels);
    add_to(total.centered, sums + 10 * stride_c, w.channels);
  }
}

template <typename T>
void depthwise_backward(const void* dy, const void* x, void* g, std::int64_t first,
                        std::int64_t last, const Window& w, const OnLoad& on_load,
                        const void* weight, const DepthwiseSums& sums, void* scratch) {
  using A = typename Arithmetic<T>::A;
  const std::int64_t in = w.height * w.width * w.channels;
  const std::int64_t out = w.out_height * w.out_width * w.channels;
  with_prologue(on_load, [&]<Prologue prologue>() {
    for (std::int64_t image = first; image < last; ++image) {
      backward_image<T, prologue>(static_cast<const T*>(dy) + image * out,
                                  static_cast<const T*>(x) + image * in,
                                  static_cast<T*>(g) + image * in, w, on_load,
                                  static_cast<const A*>(weight), sums, static_cast<A*>(scratch));
    }
  });
}

}  // namespace
}  // namespace xception::cpu
