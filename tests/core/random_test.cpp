#include "xception/core/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <vector>

namespace xception {
namespace {

using Counter = std::array<std::uint32_t, 4>;
using Key = std::array<std::uint32_t, 2>;

// The known answers published with Random123 (kat_vectors, philox4x32 with 10 rounds).
TEST(Philox4x32, ZerosGiveThePublishedAnswer) {
  EXPECT_EQ(philox4x32(Counter{0, 0, 0, 0}, Key{0, 0}),
            (Counter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
}

TEST(Philox4x32, OnesGiveThePublishedAnswer) {
  constexpr std::uint32_t ones = 0xffffffff;
  EXPECT_EQ(philox4x32(Counter{ones, ones, ones, ones}, Key{ones, ones}),
            (Counter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(Philox4x32, DigitsOfPiGiveThePublishedAnswer) {
  EXPECT_EQ(philox4x32(Counter{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                       Key{0xa4093822, 0x299f31d0}),
            (Counter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(CounterRandom, SameArgumentsGiveTheSameNumbers) {
  CounterRandom a(7, RandomStream::augment, 3, 11);
  CounterRandom b(7, RandomStream::augment, 3, 11);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(a.bits(), b.bits());
}

TEST(CounterRandom, EachArgumentCounts) {
  const auto first = [](CounterRandom random) {
    return std::array{random.bits(), random.bits(), random.bits(), random.bits()};
  };
  const auto base = first({7, RandomStream::augment, 3, 11});
  EXPECT_NE(base, first({8, RandomStream::augment, 3, 11}));
  EXPECT_NE(base, first({7ULL + (1ULL << 32U), RandomStream::augment, 3, 11}));
  EXPECT_NE(base, first({7, RandomStream::order, 3, 11}));
  EXPECT_NE(base, first({7, RandomStream::augment, 4, 11}));
  EXPECT_NE(base, first({7, RandomStream::augment, 3, 12}));
  EXPECT_NE(base, first({7, RandomStream::augment, 11, 3}));
}

TEST(CounterRandom, UniformHasTheMomentsOfTheUnitInterval) {
  CounterRandom random(1, RandomStream::synthetic);
  constexpr int n = 100'000;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < n; ++i) {
    const double x = random.uniform();
    ASSERT_GE(x, 0.0);
    ASSERT_LT(x, 1.0);
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / n, 1.0 / 2, 0.005);  // 5 standard errors
  EXPECT_NEAR(squares / n, 1.0 / 3, 0.005);
}

TEST(CounterRandom, BelowFillsItsRangeEvenly) {
  CounterRandom random(2, RandomStream::order);
  std::array<int, 7> counts{};
  constexpr int n = 70'000;
  for (int i = 0; i < n; ++i) {
    const auto x = random.below(7);
    ASSERT_GE(x, 0);
    ASSERT_LT(x, 7);
    ++counts.at(static_cast<std::size_t>(x));
  }
  for (const int count : counts) EXPECT_NEAR(count, n / 7, 500);  // 5 standard deviations
  EXPECT_EQ(random.below(1), 0);
}

TEST(CounterRandom, NormalHasMeanZeroAndVarianceOne) {
  CounterRandom random(3, RandomStream::synthetic);
  constexpr int n = 100'000;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < n; ++i) {
    const double x = random.normal();
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / n, 0.0, 0.016);
  EXPECT_NEAR(squares / n, 1.0, 0.023);
}

TEST(RandomPermutation, HoldsEachIndexOnceAndDependsOnTheSeed) {
  const auto a = random_permutation(1000, CounterRandom(1, RandomStream::order, 0));
  const auto b = random_permutation(1000, CounterRandom(1, RandomStream::order, 1));
  EXPECT_NE(a, b);
  EXPECT_EQ(a, random_permutation(1000, CounterRandom(1, RandomStream::order, 0)));
  auto sorted = a;
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::int64_t> identity(1000);
  std::iota(identity.begin(), identity.end(), 0);
  EXPECT_EQ(sorted, identity);
}

TEST(RandomPermutation, OfNothingIsEmpty) {
  EXPECT_TRUE(random_permutation(0, CounterRandom(1, RandomStream::order)).empty());
}

}  // namespace
}  // namespace xception
