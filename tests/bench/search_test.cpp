// Lists, spreads, the search for the largest batch.
#include <gmock/gmock.h>

#include <algorithm>

#include "xception/bench/largest_batch.h"
#include "xception/bench/lists.h"
#include "xception/bench/spread.h"
#include "xception/core/error.h"

namespace xception {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// The message of the input error that `work` throws; empty if it throws none.
template <class Work>
std::string error_of(Work work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    return error.what();
  }
  return "";
}

TEST(Lists, NumbersAndWords) {
  EXPECT_THAT(parse_numbers("--batch-size", "8", 1, 100), ElementsAre(8));
  EXPECT_THAT(parse_numbers("--batch-size", "8,100,1", 1, 100), ElementsAre(8, 100, 1));
  EXPECT_THAT(parse_words("--precision", "fp32,bf16"), ElementsAre("fp32", "bf16"));
}

TEST(Lists, BadItemsAreNamed) {
  for (const auto* text :
       {"8,x", "8,0", "8,101", "8,1.5", "8,-1", "8,12x", "8, 9", "8,99999999999999999999"}) {
    EXPECT_THAT(error_of([&] { (void)parse_numbers("--batch-size", text, 1, 100); }),
                HasSubstr("--batch-size: found"))
        << text;
  }
  for (const auto* text : {"", ",", "8,", ",8", "8,,9"}) {
    EXPECT_THAT(error_of([&] { (void)parse_numbers("--batch-size", text, 1, 100); }),
                HasSubstr("empty"))
        << text;
  }
  EXPECT_THAT(error_of([] { (void)parse_words("--models", "a,b,a"); }),
              HasSubstr("a is there twice"));
}

TEST(SpreadOf, MedianAndRange) {
  EXPECT_EQ(spread_of({3, 1, 2}).median, 2);
  const auto even = spread_of({4, 1, 3, 2});
  EXPECT_EQ(even.median, 2.5);
  EXPECT_EQ(even.min, 1);
  EXPECT_EQ(even.max, 4);
  EXPECT_EQ(spread_of({}).max, 0);
}

/// Searches where `capacity` images fit; notes what was asked.
struct Search {
  std::int64_t found = 0;
  std::vector<std::int64_t> asked = {};
};

Search search(std::int64_t capacity, const BatchSearch& options) {
  Search result;
  result.found = find_largest_batch(options, [&](std::int64_t batch) {
    result.asked.push_back(batch);
    return batch <= capacity;
  });
  return result;
}

TEST(LargestBatch, DoublesThenHalves) {
  const auto result = search(100, {.first = 2, .limit = 1024, .granularity = 8});
  EXPECT_EQ(result.found, 96);
  EXPECT_THAT(result.asked, ElementsAre(2, 4, 8, 16, 32, 64, 128, 96, 112, 104));
}

TEST(LargestBatch, ComesWithinTheGranularityAndNeverAsksTwice) {
  for (const std::int64_t capacity : {2, 3, 7, 8, 9, 31, 63, 64, 65, 200, 511, 999, 1000}) {
    const auto result = search(capacity, {.first = 2, .limit = 1000, .granularity = 8});
    EXPECT_LE(result.found, capacity);
    EXPECT_GT(result.found + 8, capacity) << capacity;
    auto asked = result.asked;
    std::sort(asked.begin(), asked.end());
    EXPECT_EQ(std::adjacent_find(asked.begin(), asked.end()), asked.end()) << capacity;
    EXPECT_LE(asked.back(), 1000);
  }
}

TEST(LargestBatch, LimitsOfTheSearch) {
  EXPECT_EQ(search(5000, {.first = 2, .limit = 1000, .granularity = 8}).found, 1000);
  EXPECT_EQ(search(1, {.first = 2, .limit = 1000, .granularity = 8}).found, 0);
  EXPECT_THAT(search(1, {.first = 2, .limit = 1000, .granularity = 8}).asked, ElementsAre(2));
}

TEST(PredictMemory, FollowsTheLineThroughTheLastTwo) {
  EXPECT_EQ(predict_memory({{2, 120}}, 4), 240);
  EXPECT_EQ(predict_memory({{1, 500}, {2, 120}, {4, 140}}, 10), 200);
  EXPECT_EQ(predict_memory({{2, 120}, {4, 100}}, 10), 100);  // noise doesn't make it shrink
}

}  // namespace
}  // namespace xception
