#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace xception {

/// One block of Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
/// SC 2011): a pure function from a 128-bit counter and a 64-bit key to 128 random bits.
[[nodiscard]] std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                                      std::array<std::uint32_t, 2> key) noexcept;

/// What a random number is for. Streams of different purpose never share a counter.
enum class RandomStream : std::uint32_t {
  split = 1,      ///< which training images validate
  order = 2,      ///< order of an epoch
  augment = 3,    ///< parameters of one image's augmentation
  synthetic = 4,  ///< synthetic images
  sweep = 5,      ///< settings of a random sweep
  shards = 6,     ///< order of an epoch's shards
  flip = 7,       ///< how an image is turned that is mirrored in every other epoch
};

/// Random numbers that are a pure function of (seed, purpose, a, b): no state is shared and none
/// needs saving. `a` and `b` say which draw it is, usually the epoch and the image's index.
class CounterRandom {
 public:
  CounterRandom(std::uint64_t seed, RandomStream purpose, std::uint32_t a = 0,
                std::uint32_t b = 0) noexcept;

  /// The next 32 random bits.
  [[nodiscard]] std::uint32_t bits() noexcept;
  /// Uniform in [0, 1), 53 bits.
  [[nodiscard]] double uniform() noexcept;
  /// Uniform in [low, high).
  [[nodiscard]] double uniform(double low, double high) noexcept;
  /// Uniform integer in [0, n), without bias (Lemire's method); n in [1, 2^32).
  [[nodiscard]] std::int64_t below(std::int64_t n) noexcept;
  /// Standard normal (Box-Muller).
  [[nodiscard]] double normal() noexcept;

 private:
  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 4> counter_;
  std::array<std::uint32_t, 4> block_{};
  unsigned used_ = 4;
};

/// A random permutation of 0 .. n-1 (Fisher-Yates).
[[nodiscard]] std::vector<std::int64_t> random_permutation(std::int64_t n, CounterRandom random);

}  // namespace xception
