#pragma once

#include "vector.h"

namespace xception::cpu {
namespace {

// Loops that the compiler turns into vectors' square roots (with -fno-math-errno).
inline F32 root(const F32& v) {
  F32 roots;
  for (int i = 0; i < kLanes; ++i) roots[i] = __builtin_sqrtf(v[i]);
  return roots;
}
inline F64 root(const F64& v) {
  F64 roots;
  for (int i = 0; i < kLanes; ++i) roots[i] = __builtin_sqrt(v[i]);
  return roots;
}

/// Calls step(p, g, i, n) for vectors of the parameter and its gradient from value i on, n of which
/// count, and stores what p has become.
template <typename T, typename Step>
inline void update_vectors(const Update& of, const UpdateNumbers& numbers, std::int64_t first,
                           std::int64_t last, const Step& step) {
  using A = typename Arithmetic<T>::A;
  const auto inverse_scale = static_cast<A>(numbers.inverse_scale);
  const auto decay = static_cast<A>(numbers.decay);
  auto* parameter = static_cast<A*>(of.parameter);
  const auto* gradient = static_cast<const T*>(of.gradient);
  auto* copy = static_cast<T*>(of.copy);
  for (std::int64_t i = first; i < last; i += kLanes) {
    const std::int64_t n = last - i;
    auto p = load(parameter + i, n);
    auto g = load(gradient + i, n) * inverse_scale;
    if (decay != 0) g += decay * p;  // p may be infinite
    step(p, g, i, n);
    store(parameter + i, p, n);
    if (copy != nullptr) store(copy + i, p, n);
  }
}

template <typename T>
void update_adam(const Update& of, const UpdateNumbers& numbers, std::int64_t first,
                 std::int64_t last) {
  using A = typename Arithmetic<T>::A;
  using V = typename Arithmetic<T>::V;
  const auto number = [](double value) { return static_cast<A>(value); };
  const A of_first = number(numbers.first);
  const A of_second = number(numbers.second);
  const A keep = number(numbers.keep);
  const A shrink = number(numbers.shrink);
  const A rate = number(numbers.rate);
  const A root_scale = number(numbers.root_scale);
  const A eps = number(numbers.eps);
  auto* means = static_cast<A*>(of.first);
  auto* squares = static_cast<A*>(of.second);
  update_vectors<T>(of, numbers, first, last,
                    [&](V& p, const V& g, std::int64_t i, std::int64_t n) {
                      V m = load(means + i, n);
                      V v = load(squares + i, n);
                      m += of_first * (g - m);
                      v = keep * v + of_second * g * g;
                      p = shrink * p - rate * m / (root(v) * root_scale + eps);
                      store(means + i, m, n);
                      store(squares + i, v, n);
                    });
}

template <typename T>
void update_sgd(const Update& of, const UpdateNumbers& numbers, std::int64_t first,
                std::int64_t last) {
  using A = typename Arithmetic<T>::A;
  using V = typename Arithmetic<T>::V;
  const A momentum = static_cast<A>(numbers.momentum);
  const A ahead = static_cast<A>(numbers.ahead);
  const A rate = static_cast<A>(numbers.rate);
  auto* moments = static_cast<A*>(of.first);
  update_vectors<T>(of, numbers, first, last,
                    [&](V& p, const V& g, std::int64_t i, std::int64_t n) {
                      if (moments == nullptr) {
                        p -= rate * g;
                        return;
                      }
                      const V m = momentum * load(moments + i, n) + g;
                      store(moments + i, m, n);
                      if (ahead != 0) {
                        p -= rate * (g + ahead * m);
                      } else {
                        p -= rate * m;
                      }
                    });
}

template <typename T>
void update(const Update& of, UpdateKind kind, const UpdateNumbers& numbers, std::int64_t first,
            std::int64_t last) {
  if (kind == UpdateKind::sgd) {
    update_sgd<T>(of, numbers, first, last);
  } else {
    update_adam<T>(of, numbers, first, last);
  }
}

}  // namespace
}  // namespace xception::cpu
