#pragma once

#include <cstdint>
#include <cstring>

#include "../kernels.h"

// Vectors of the compiler (GCC and Clang), which become whatever registers the instruction set of
// the including source has. Everything is in an unnamed namespace and nothing of the standard
// library is instantiated, so that code for one instruction set never serves for another.

namespace xception::cpu {
namespace {

// Values of a vector: as many floats as a register holds. Of longer vectors GCC computes
// comparisons and choices one value after another.
#if defined(__AVX512F__)
constexpr std::int64_t kLanes = 16;
#elif defined(__AVX__)
constexpr std::int64_t kLanes = 8;
#else
constexpr std::int64_t kLanes = 4;
#endif
static_assert(kMostLanes % kLanes == 0);

using F32 = float __attribute__((vector_size(4 * kLanes)));
using F64 = double __attribute__((vector_size(8 * kLanes)));
using U32 = std::uint32_t __attribute__((vector_size(4 * kLanes)));
using I32 = std::int32_t __attribute__((vector_size(4 * kLanes)));
using I64 = std::int64_t __attribute__((vector_size(8 * kLanes)));
using U16 = std::uint16_t __attribute__((vector_size(2 * kLanes)));
using U8 = std::uint8_t __attribute__((vector_size(kLanes)));

/// Bits of a dtype that C++ lacks.
struct Half {
  std::uint16_t bits;
};
struct Bfloat16 {
  std::uint16_t bits;
};

template <typename To, typename From>
inline To bit_cast_vector(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

/// Element type A of arithmetic, its vector V, and its vector of masks and integers I.
template <typename T>
struct Arithmetic {
  using A = float;
  using V = F32;
  using I = I32;
};
template <>
struct Arithmetic<double> {
  using A = double;
  using V = F64;
  using I = I64;
};

// ---- dtypes to vectors and back ----------------------------------------------------------------

inline F32 widen(const F32& v, float /*tag*/) {
  return v;
}
inline F64 widen(const F64& v, double /*tag*/) {
  return v;
}

inline F32 widen(const U16& v, Bfloat16 /*tag*/) {
  return bit_cast_vector<F32>(__builtin_convertvector(v, U32) << 16);
}

inline F32 widen(const U16& v, Half /*tag*/) {
  const U32 bits = __builtin_convertvector(v, U32);
  const U32 magnitude = bits & 0x7FFFU;
  // Exponents shifted into place lack a bias of 127 - 15; the product also makes subnormals normal.
  const F32 value = bit_cast_vector<F32>(magnitude << 13) * 0x1p112F;
  const U32 finite = bit_cast_vector<U32>(value);
  const U32 special = (magnitude << 13) | 0x7F800000U;
  const U32 absolute = magnitude >= 0x7C00U ? special : finite;
  return bit_cast_vector<F32>(absolute | ((bits & 0x8000U) << 16));
}

inline F32 narrow(const F32& v, float /*tag*/) {
  return v;
}
inline F64 narrow(const F64& v, double /*tag*/) {
  return v;
}

/// To nearest, ties to even, as all of LibTorch's conversions.
inline U16 narrow(const F32& v, Bfloat16 /*tag*/) {
  const U32 bits = bit_cast_vector<U32>(v);
  const U32 rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
  const U32 nan = U32{} + 0x7FC0U;
  return __builtin_convertvector(v == v ? rounded : nan, U16);
}

inline U16 narrow(const F32& v, Half /*tag*/) {
  const U32 bits = bit_cast_vector<U32>(v);
  const U32 magnitude = bits & 0x7FFFFFFFU;
  const U32 rounded = magnitude + 0x0FFFU + ((magnitude >> 13) & 1U);
  const U32 normal = (rounded - (112U << 23)) >> 13;
  // Beside 0.5, a float's last bit is worth as much as the last bit of a subnormal half.
  const F32 beside_half = bit_cast_vector<F32>(magnitude) + 0.5F;
  const U32 subnormal = bit_cast_vector<U32>(beside_half) - 0x3F000000U;
  const U32 infinity = U32{} + 0x7C00U;
  const U32 nan = U32{} + 0x7E00U;
  U32 result = magnitude < 0x38800000U ? subnormal : normal;  // 2^-14
  result = magnitude >= 0x477FF000U ? infinity : result;      // 65520
  result = magnitude > 0x7F800000U ? nan : result;
  return __builtin_convertvector(result | ((bits >> 16) & 0x8000U), U16);
}

template <typename T>
struct Stored;
template <>
struct Stored<float> {
  using V = F32;
};
template <>
struct Stored<double> {
  using V = F64;
};
template <>
struct Stored<Half> {
  using V = U16;
};
template <>
struct Stored<Bfloat16> {
  using V = U16;
};

/// Copies the first n < kLanes elements, in pieces of fixed size.
template <typename T>
inline void copy_part(void* to, const void* from, std::int64_t n) {
  auto* out = static_cast<unsigned char*>(to);
  const auto* in = static_cast<const unsigned char*>(from);
  const auto piece = [&]<int count>() {
    if constexpr (count < kLanes) {
      if ((n & count) == 0) return;
      std::memcpy(out, in, count * sizeof(T));
      out += count * sizeof(T);
      in += count * sizeof(T);
    }
  };
  piece.template operator()<8>();
  piece.template operator()<4>();
  piece.template operator()<2>();
  piece.template operator()<1>();
}

/// n >= kLanes: a whole vector; less: the rest is zero.
template <typename T>
inline auto load(const T* from, std::int64_t n = kLanes) {
  typename Stored<T>::V v = {};
  if (n >= kLanes) {
    std::memcpy(&v, from, sizeof v);
  } else {
    copy_part<T>(&v, from, n);
  }
  return widen(v, T{});
}

template <typename T, typename V>
inline void store(T* to, const V& value, std::int64_t n = kLanes) {
  const auto v = narrow(value, T{});
  if (n >= kLanes) {
    std::memcpy(to, &v, sizeof v);
  } else {
    copy_part<T>(to, &v, n);
  }
}

/// Adds the first n elements of `from` to doubles.
template <typename A>
inline void add_to(double* to, const A* from, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) to[i] += static_cast<double>(from[i]);
}

// ---- what happens on load ----------------------------------------------------------------------

/// Lets NaN through, as at::relu does.
template <typename V>
inline V relu(const V& v) {
  return v < 0 ? V{} : v;
}

/// The part of g that passes a ReLU whose input or output was z; NaN passes.
template <typename V>
inline V passed(const V& g, const V& z) {
  return z <= 0 ? V{} : g;
}

/// The values of OnLoad for one vector of channels.
template <typename V>
struct LoadVector {
  V center = {}, scale = {}, shift = {};

  template <typename A>
  [[gnu::always_inline]] LoadVector(const OnLoad& load_, std::int64_t channel, std::int64_t n,
                                    A /*tag*/) {
    if (load_.center == nullptr) return;
    center = load(static_cast<const A*>(load_.center) + channel, n);
    scale = load(static_cast<const A*>(load_.scale) + channel, n);
    shift = load(static_cast<const A*>(load_.shift) + channel, n);
  }
};

}  // namespace
}  // namespace xception::cpu
