#include "xception/parallel/share.h"

#include <gtest/gtest.h>

namespace xception {
namespace {

TEST(Share, CoversEveryImageOnceInOrder) {
  for (int size = 1; size <= 9; ++size) {
    for (std::int64_t batch = 1; batch <= 40; ++batch) {
      std::int64_t next = 0;
      std::int64_t smallest = batch;
      for (int rank = 0; rank < size; ++rank) {
        const auto share = share_of_batch(batch, rank, size);
        if (share.count == 0) continue;
        EXPECT_EQ(share.first, next) << batch << " over " << size;
        next += share.count;
        smallest = std::min(smallest, share.count);
        if (batch >= 2) {
          EXPECT_GE(share.count, 2) << batch << " over " << size;
        }
      }
      EXPECT_EQ(next, batch);
      EXPECT_EQ(smallest, smallest_share(batch, size));
      EXPECT_GT(share_of_batch(batch, 0, size).count, 0);
    }
  }
}

TEST(Share, IsAsEqualAsCanBe) {
  EXPECT_EQ(share_of_batch(128, 1, 2).count, 64);
  EXPECT_EQ(share_of_batch(7, 0, 2).count, 4);
  EXPECT_EQ(share_of_batch(7, 1, 2).count, 3);
  EXPECT_EQ(share_of_batch(5, 2, 4).count, 0);
}

TEST(Share, ItemsMayBeFewerThanRanks) {
  for (int size = 1; size <= 7; ++size) {
    for (std::int64_t items = 0; items <= 20; ++items) {
      std::int64_t next = 0;
      for (int rank = 0; rank < size; ++rank) {
        const auto share = share_of_items(items, rank, size);
        EXPECT_EQ(share.first, next);
        EXPECT_LE(share.count, (items + size - 1) / size);
        next += share.count;
      }
      EXPECT_EQ(next, items);
    }
  }
}

}  // namespace
}  // namespace xception
