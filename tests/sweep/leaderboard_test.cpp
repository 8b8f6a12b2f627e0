#include "xception/sweep/leaderboard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace xception {
namespace {

using testing::HasSubstr;

/// Two variants with three seeds and one that failed.
struct Example {
  Example() {
    description.name = "example";
    description.variants = {"a", "b", "c"};
    const std::vector<std::vector<double>> values = {{0.50, 0.52, 0.51}, {0.60, 0.63, 0.61}, {}};
    for (std::size_t v = 0; v < 3; ++v) {
      for (std::int64_t seed = 0; seed < 3; ++seed) {
        description.trials.push_back(
            {.name = "t", .variant = v, .seed = seed, .epochs = 4, .hash = ""});
        TrialStatus status;
        if (v < 2) {
          status.state = TrialState::complete;
          status.result.metric = values[v][static_cast<std::size_t>(seed)];
          status.result.best_epoch = 2 + seed;
          status.result.test_accuracy = 0.5;
        } else {
          status.state = TrialState::failed;
          status.reason = "out of memory";
        }
        trials.push_back(status);
      }
    }
  }
  SweepDescription description;
  std::vector<TrialStatus> trials;
};

TEST(Leaderboard, RanksMeansAndSaysWhatIsNoise) {
  Example example;
  const auto board = rank_variants(example.description, example.trials);
  ASSERT_EQ(board.rows.size(), 3U);
  EXPECT_EQ(board.rows[0].label, "b");
  EXPECT_NEAR(board.rows[0].mean, 0.613333, 1e-6);
  EXPECT_NEAR(*board.rows[0].deviation, 0.0152753, 1e-6);
  EXPECT_NEAR(board.rows[0].best_epoch, 3.0, 1e-12);
  EXPECT_EQ(board.rows[2].label, "c");
  EXPECT_EQ(board.rows[2].complete, 0U);
  ASSERT_EQ(board.comparisons.size(), 1U);  // none with what has no result
  EXPECT_EQ(board.comparisons[0].pairs, 3U);
  EXPECT_EQ(board.comparisons[0].verdict(), "more than noise");
  const auto text = leaderboard_text(example.description, board);
  EXPECT_THAT(text, HasSubstr("| b | 61.33 % ± 1.53 | 3 of 3 |"));
  EXPECT_THAT(text, HasSubstr("- c, seed 0: failed (out of memory)"));
}

TEST(Leaderboard, LabelsDoNotBreakTables) {
  Example example;
  example.description.variants[1] = R"(train=[{"name":"a|b"}])";
  const auto board = rank_variants(example.description, example.trials);
  EXPECT_THAT(leaderboard_text(example.description, board),
              HasSubstr(R"(| train=[{"name":"a\|b"}] | 61.33 %)"));
}

TEST(Leaderboard, OneSeedCannotSay) {
  Example example;
  for (std::size_t i = 0; i < example.trials.size(); ++i) {
    if (example.description.trials[i].seed > 0) example.trials[i].state = TrialState::waiting;
  }
  const auto board = rank_variants(example.description, example.trials);
  ASSERT_EQ(board.comparisons.size(), 1U);
  EXPECT_FALSE(board.comparisons[0].p);
  EXPECT_EQ(board.comparisons[0].verdict(), "one seed can't say");
}

TEST(Leaderboard, LossesAreRankedFromBelow) {
  Example example;
  example.description.metric = {.name = "validation_loss", .maximize = false};
  EXPECT_EQ(rank_variants(example.description, example.trials).rows[0].label, "a");
}

}  // namespace
}  // namespace xception
