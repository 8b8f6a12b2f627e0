#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <ostream>
#include <vector>

#include "../../src/kernels/cuda/launch_plan.h"

namespace xception::cuda {
namespace {

constexpr int kH100 = 132;

struct Shape {
  std::int64_t batch, channels, height, width;
};

std::ostream& operator<<(std::ostream& out, const Shape& of) {
  return out << of.batch << "x" << of.channels << "x" << of.height << "x" << of.width;
}

/// Images of Xception's and Inception V3's layers, at every batch size; odd ones.
std::vector<Shape> shapes() {
  std::vector<Shape> all;
  for (const std::int64_t batch : {1, 8, 128, 512}) {
    for (const Shape& of : {Shape{1, 32, 149, 149},
                            {1, 64, 147, 147},
                            {1, 128, 147, 147},
                            {1, 128, 74, 74},
                            {1, 256, 37, 37},
                            {1, 728, 19, 19},
                            {1, 1024, 10, 10},
                            {1, 1536, 10, 10},
                            {1, 2048, 10, 10},
                            {1, 80, 73, 73},
                            {1, 192, 71, 71},
                            {1, 48, 35, 35},
                            {1, 288, 35, 35},
                            {1, 768, 17, 17},
                            {1, 448, 8, 8},
                            {1, 3, 299, 299},
                            {1, 1, 1, 1},
                            {1, 37, 3, 5}}) {
      all.push_back({batch, of.channels, of.height, of.width});
    }
  }
  return all;
}

/// The channels that the lanes of all blocks have: each once.
void expect_all_channels(const Lanes& lanes, std::int64_t channels, int width) {
  EXPECT_GE(lanes.threads_x, 1);
  EXPECT_LE(lanes.threads_x, kLanes);
  EXPECT_LE(lanes.threads_x * lanes.threads_y, kThreads);
  EXPECT_GT(lanes.threads_x * (lanes.threads_y + 1), kThreads);
  // block_sum() needs a thread a channel.
  EXPECT_GE(lanes.threads_y, width);
  EXPECT_GE(lanes.across * lanes.threads_x * width, channels);
  EXPECT_LT((lanes.across - 1) * lanes.threads_x * width, channels);
  // At most a lane a block is idle.
  EXPECT_LT(lanes.across * lanes.threads_x - quotient(channels, width), lanes.across);
}

void expect_fits(const Grid& grid) {
  EXPECT_GE(grid.blocks, 1);
  EXPECT_LE(grid.blocks, kMaxBlocks);
}

TEST(LaunchPlan, RowsAreCoveredOnce) {
  for (const Shape& of : shapes()) {
    for (const int width : {1, 2, 4, 8}) {
      if (of.channels % width != 0) continue;
      for (const int multiprocessors : {1, 3, kH100}) {
        SCOPED_TRACE(testing::Message() << of << " by " << width << " on " << multiprocessors);
        const std::int64_t rows = of.batch * of.height * of.width;
        const RowsPlan plan = plan_rows(rows, of.channels, width, multiprocessors);
        expect_all_channels(plan.lanes, of.channels, width);
        expect_fits(plan.grid());
        EXPECT_EQ(plan.rows_per_part % plan.lanes.threads_y, 0);
        // No part is empty and none is missing.
        EXPECT_GE(plan.parts * plan.rows_per_part, rows);
        EXPECT_LT((plan.parts - 1) * plan.rows_per_part, rows);
        const std::int64_t most = kBlocksPerMultiprocessor * multiprocessors;
        EXPECT_LE(plan.grid().blocks, std::max(most, plan.lanes.across));
        // Two blocks a multiprocessor, or a row a thread.
        if (plan.grid().blocks < 2 * multiprocessors) {
          EXPECT_EQ(plan.rows_per_part, plan.lanes.threads_y);
        }
      }
    }
  }
}

/// Marks what every thread of every part does, as Segment (lines.cuh) goes.
void expect_lines_covered_once(const LinesPlan& plan) {
  std::vector<std::uint8_t> done(static_cast<std::size_t>(plan.lines * plan.positions));
  for (std::int64_t part = 0; part < plan.parts; ++part) {
    for (std::int64_t unit = part; unit < plan.units; unit += plan.parts) {
      for (int y = 0; y < plan.lanes.threads_y; ++y) {
        const std::int64_t line = unit / plan.segments * plan.lanes.threads_y + y;
        if (line >= plan.lines) continue;
        const std::int64_t first = unit % plan.segments * plan.columns;
        const std::int64_t last = std::min<std::int64_t>(first + plan.columns, plan.positions);
        EXPECT_LT(first, last);
        for (std::int64_t i = first; i < last; ++i) {
          ++done[static_cast<std::size_t>(line * plan.positions + i)];
        }
      }
    }
  }
  EXPECT_EQ(std::count(done.begin(), done.end(), 1), static_cast<std::int64_t>(done.size()));
}

TEST(LaunchPlan, LinesAreCoveredOnce) {
  for (const Shape& of : shapes()) {
    for (const int width : {1, 2, 4, 8}) {
      if (of.channels % width != 0) continue;
      for (const int multiprocessors : {3, kH100}) {
        for (const bool with_sums : {false, true}) {
          SCOPED_TRACE(testing::Message() << of << " by " << width << " on " << multiprocessors
                                          << (with_sums ? ", sums" : ""));
          const std::int64_t lines = of.batch * of.height;
          const LinesPlan plan =
              plan_lines(lines, of.width, of.channels, width, multiprocessors, with_sums);
          expect_all_channels(plan.lanes, of.channels, width);
          expect_fits(plan.grid());
          EXPECT_GE(plan.parts, 1);
          EXPECT_LE(plan.parts, plan.units);
          if (of.batch < 512) expect_lines_covered_once(plan);
          if (with_sums) {
            EXPECT_LE(plan.grid().blocks,
                      std::max(kSummingBlocks * multiprocessors, plan.lanes.across));
          }
          // Two blocks a multiprocessor, as far as whole parts go, or segments that can't be split.
          const std::int64_t across = plan.lanes.across;
          if (plan.grid().blocks < 2 * multiprocessors / across * across) {
            EXPECT_LE(plan.columns, 2 * kSegment - 1);
          }
        }
      }
    }
  }
}

TEST(LaunchPlan, ManyTurnsWhereBlocksLeaveNothingBehind) {
  const RowsPlan rows = plan_rows(128 * 19 * 19, 728, 8, kH100, kStreamingBlocks);
  EXPECT_GT(rows.grid().blocks, 8 * kH100);
  // 592 units of whole lines would be two turns and a quarter.
  const LinesPlan lines = plan_lines(128 * 74, 147, 64, 4, kH100, false, /*pairs=*/true);
  EXPECT_GT(lines.grid().blocks, 8 * kH100);
  EXPECT_GE(lines.columns, kLongSegment);
  EXPECT_TRUE(fits_32_bits(128 * 147 * 147, 2 * 128));
  EXPECT_FALSE(fits_32_bits(128 * 147 * 147, 16 * 128));
}

TEST(LaunchPlan, GridsStayWithinTheirLimit) {
  const std::int64_t huge = std::int64_t{1} << 40;
  const LinesPlan lines = plan_lines(huge, 4, 1, 1, kH100, false);
  expect_fits(lines.grid());
  EXPECT_LT(lines.parts, lines.units);
  expect_fits(plan_rows(huge, 1, 1, kH100).grid());
}

TEST(LaunchPlan, LinesOfImagesAreCoveredOnce) {
  for (const std::int64_t lines : {1, 7, 8, 9, 299, 128 * 299}) {
    const ImageRowsPlan plan = plan_image_rows(lines, 1);
    expect_fits(plan.grid());
    EXPECT_EQ(plan.grid().threads_x * plan.grid().threads_y, kThreads);
    std::vector<int> done(static_cast<std::size_t>(lines));
    for (std::int64_t block = 0; block < plan.grid().blocks; ++block) {
      for (std::int64_t group = block; group * kImageLines < lines; group += plan.blocks) {
        for (std::int64_t y = 0; y < plan.grid().threads_y; ++y) {
          const std::int64_t line = group * kImageLines + y;
          if (line < lines) ++done[static_cast<std::size_t>(line)];
        }
      }
    }
    EXPECT_EQ(std::count(done.begin(), done.end(), 1), lines);
    // No block has nothing to do.
    EXPECT_LT((plan.blocks - 1) * kImageLines, lines);
  }
  expect_fits(plan_image_rows(std::int64_t{1} << 40, 4).grid());
}

TEST(LaunchPlan, VectorsAreAligned) {
  EXPECT_EQ(aligned_width(8, 64, 2, 0), 8);
  EXPECT_EQ(aligned_width(8, 64, 2, 4096 | 128), 8);
  EXPECT_EQ(aligned_width(8, 60, 2, 0), 1);         // channels
  EXPECT_EQ(aligned_width(8, 64, 2, 4096 | 8), 1);  // an address or a stride
  EXPECT_EQ(aligned_width(4, 64, 2, 4096 | 8), 4);
  EXPECT_EQ(aligned_width(1, 7, 8, 8), 1);
  for (const int bytes : {2, 4, 8}) {
    EXPECT_EQ(row_width(bytes) * bytes, 16);
    EXPECT_EQ(reduce_width(bytes) * bytes, 8);
    EXPECT_LE(forward_width(bytes) * bytes, 16);
    EXPECT_LE(backward_width(bytes) * bytes, 8);
  }
}

}  // namespace
}  // namespace xception::cuda
