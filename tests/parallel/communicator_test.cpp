// Collectives between ranks that are threads of this process.
#include "xception/parallel/communicator.h"

#include <gtest/gtest.h>

#include "parallel/ranks_testing.h"

namespace xception {
namespace {

class CommunicatorTest : public testing::TestWithParam<int> {};

TEST_P(CommunicatorTest, SumsAndBroadcasts) {
  run_ranks(GetParam(), [](const std::shared_ptr<Communicator>& ranks) {
    auto numbers = torch::full({2, 3}, ranks->rank() + 1, torch::kFloat64);
    ranks->sum(numbers);
    const auto expected = ranks->size() * (ranks->size() + 1) / 2;
    EXPECT_TRUE(numbers.eq(expected).all().item<bool>());
    // Different dtypes and layouts, and a number alone.
    const auto value = ranks->rank() == 0 ? 5 : -1;
    std::vector<torch::Tensor> tensors = {torch::full({4}, value, torch::kFloat32),
                                          torch::full({}, value, torch::kInt64),
                                          torch::full({2, 3, 4, 5}, value, torch::kFloat32)
                                              .contiguous(torch::MemoryFormat::ChannelsLast)};
    ranks->broadcast(tensors);
    for (const auto& tensor : tensors) EXPECT_TRUE(tensor.eq(5).all().item<bool>());
  });
}

TEST_P(CommunicatorTest, TextsOfAnyLength) {
  run_ranks(GetParam(), [](const std::shared_ptr<Communicator>& ranks) {
    const std::string own(static_cast<std::size_t>(ranks->rank() * 100), 'x');
    const auto all = ranks->gather_texts(own);
    ASSERT_EQ(all.size(), static_cast<std::size_t>(ranks->size()));
    for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i].size(), i * 100);
    EXPECT_EQ(ranks->broadcast_text(ranks->is_root() ? std::string("a\0b", 3) : "other"),
              std::string("a\0b", 3));
    EXPECT_EQ(ranks->broadcast_text(""), "");
  });
}

TEST_P(CommunicatorTest, RowsOfUnequalNumber) {
  run_ranks(GetParam(), [](const std::shared_ptr<Communicator>& ranks) {
    // Rank r has r rows: rank 0 none.
    const auto n = ranks->size() == 1 ? 1 : ranks->rank();
    const auto own =
        n == 0 ? torch::empty({0}) : torch::full({n, 2}, ranks->rank(), torch::kFloat32);
    const auto rows = ranks->gather_rows(own);
    EXPECT_EQ(rows.dim(), 2);
    std::int64_t next = 0;
    for (int rank = 0; rank < ranks->size() && ranks->size() > 1; ++rank) {
      for (int i = 0; i < rank; ++i) EXPECT_EQ(rows[next++][1].item<float>(), rank);
    }
    EXPECT_EQ(ranks->gather_rows(torch::empty({0}, torch::kInt64)).numel(), 0);
    EXPECT_EQ(ranks->gather_rows(torch::ones({1}, torch::kInt64)).numel(), ranks->size());
  });
}

TEST_P(CommunicatorTest, AgreesOnTheLargest) {
  run_ranks(GetParam(), [](const std::shared_ptr<Communicator>& ranks) {
    const int last = ranks->size() - 1;
    EXPECT_EQ(ranks->agree(ranks->rank() == last ? 15 : 0), 15);
    // One call later with others, at once alone.
    const int first = ranks->agree_later(ranks->rank() == last ? 2 : 0);
    EXPECT_EQ(first, ranks->is_alone() ? 2 : 0);
    const int second = ranks->agree_later(0);
    EXPECT_EQ(second, ranks->is_alone() ? 0 : 2);
    EXPECT_EQ(ranks->agree_later(0), 0);
  });
}

INSTANTIATE_TEST_SUITE_P(Ranks, CommunicatorTest, testing::Values(1, 2, 3, 5));

}  // namespace
}  // namespace xception
