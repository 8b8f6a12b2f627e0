#pragma once

#include <cstdint>

// How the CUDA kernels share out their work: plain arithmetic on the host. A block is threads_x
// lanes, each with a vector of `width` channels, by threads_y rows (of a matrix) or lines (of
// images); blocks beside each other in the channels come first in the grid's one dimension.
namespace xception::cuda {

constexpr int kThreads = 256;  ///< at most, in a block
constexpr int kLanes = 32;     ///< at most, along the channels
constexpr std::int64_t kMaxBlocks = 2147483647;
/// Blocks that a multiprocessor is given where the work allows; they are what partial sums are of.
constexpr std::int64_t kBlocksPerMultiprocessor = 4;
/// The same where each block writes many partial sums: no more than run at once, for fewer of them.
constexpr std::int64_t kSummingBlocks = 2;
/// The same where blocks write no partial sums: many short ones, so that few multiprocessors have
/// nothing left to do at the end.
constexpr std::int64_t kStreamingBlocks = 16;
/// Positions below which a line isn't split further: a segment reads two columns more.
constexpr std::int64_t kSegment = 4;
/// Positions of a segment where lines are split only to have so many blocks.
constexpr std::int64_t kLongSegment = 18;

constexpr std::int64_t quotient(std::int64_t all, std::int64_t each) {
  return (all + each - 1) / each;
}

/// Channels of a thread, for values of so many bytes: 16 bytes a load, less where a thread keeps
/// nine weights (and their sums) for each channel.
constexpr int row_width(std::int64_t value_bytes) {
  return static_cast<int>(16 / value_bytes);
}
/// Where sums of two products are kept for each channel.
constexpr int reduce_width(std::int64_t value_bytes) {
  return static_cast<int>(8 / value_bytes);
}
constexpr int forward_width(std::int64_t value_bytes) {
  return value_bytes == 8 ? 2 : 4;
}
constexpr int backward_width(std::int64_t value_bytes) {
  return value_bytes == 8 ? 1 : 2;
}

/// `width`, or 1 where a load of so many values would not be aligned. bits: all addresses and all
/// strides in bytes, combined by "or".
constexpr int aligned_width(int width, std::int64_t channels, std::int64_t value_bytes,
                            std::uint64_t bits) {
  const auto bytes = static_cast<std::uint64_t>(width * value_bytes);
  return channels % width == 0 && bits % bytes == 0 ? width : 1;
}

/// Whether there are kernels of pairs of lines for such values: for the vectors of `wanted` that
/// narrow dtypes and float32 have.
constexpr bool can_pair(std::int64_t value_bytes, int width, int wanted) {
  return value_bytes < 8 && width == wanted && width > 1;
}

struct Grid {
  std::int64_t blocks = 1;
  int threads_x = 1, threads_y = 1;
};

/// A block's threads, and the blocks that cover all channels: as few as may be, evenly filled.
struct Lanes {
  int threads_x = 1, threads_y = 1;
  std::int64_t across = 1;
};

constexpr Lanes plan_lanes(std::int64_t channels, int width) {
  const std::int64_t vectors = quotient(channels, width);
  const std::int64_t across = quotient(vectors, kLanes);
  const int threads_x = static_cast<int>(quotient(vectors, across));
  return {.threads_x = threads_x, .threads_y = kThreads / threads_x, .across = across};
}

/// For a matrix (rows, channels): part p takes rows p * rows_per_part and so on.
struct RowsPlan {
  std::int64_t rows = 0, channels = 0;
  int width = 1;
  Lanes lanes = {};
  std::int64_t rows_per_part = 1;
  std::int64_t parts = 1;

  [[nodiscard]] constexpr Grid grid() const {
    return {
        .blocks = lanes.across * parts, .threads_x = lanes.threads_x, .threads_y = lanes.threads_y};
  }
};

constexpr RowsPlan plan_rows(std::int64_t rows, std::int64_t channels, int width,
                             int multiprocessors, std::int64_t blocks = kBlocksPerMultiprocessor) {
  RowsPlan plan{.rows = rows, .channels = channels, .width = width};
  plan.lanes = plan_lanes(channels, width);
  const std::int64_t wanted = blocks * multiprocessors / plan.lanes.across;
  const std::int64_t groups = quotient(rows, plan.lanes.threads_y);
  plan.rows_per_part = quotient(groups, wanted < 1 ? 1 : wanted) * plan.lanes.threads_y;
  plan.parts = quotient(rows, plan.rows_per_part);
  return plan;
}

/// Whether the place of every pixel, in bytes from the first, fits 32 bits.
constexpr bool fits_32_bits(std::int64_t pixels, std::int64_t pixel_bytes) {
  return pixels * pixel_bytes < (std::int64_t{1} << 32);
}

/// For lines of images, or pairs of neighboring ones: unit u is segment u % segments (columns
/// [s * columns, (s + 1) * columns)) of lines (u / segments) * threads_y and so on; part p takes
/// units p, p + parts, ...
struct LinesPlan {
  std::int64_t lines = 0, channels = 0;  ///< or pairs of lines
  int positions = 1;                     ///< of a line
  int width = 1;
  bool pairs = false;
  Lanes lanes = {};
  int columns = 1;
  int segments = 1;
  std::int64_t units = 1;
  std::int64_t parts = 1;

  [[nodiscard]] constexpr Grid grid() const {
    return {
        .blocks = lanes.across * parts, .threads_x = lanes.threads_x, .threads_y = lanes.threads_y};
  }
};

/// with_sums: few parts, because each writes partial sums; else a unit each.
constexpr LinesPlan plan_lines(std::int64_t lines, std::int64_t positions, std::int64_t channels,
                               int width, int multiprocessors, bool with_sums, bool pairs = false) {
  LinesPlan plan{.lines = lines,
                 .channels = channels,
                 .positions = static_cast<int>(positions),
                 .width = width,
                 .pairs = pairs};
  plan.lanes = plan_lanes(channels, width);
  const std::int64_t groups = quotient(lines, plan.lanes.threads_y);
  const auto share = [&](std::int64_t blocks) {
    const std::int64_t parts = blocks * multiprocessors / plan.lanes.across;
    return parts < 1 ? 1 : parts;
  };
  const std::int64_t most = quotient(positions, kSegment);
  const std::int64_t needed = quotient(share(kBlocksPerMultiprocessor), groups);
  std::int64_t split = needed < most ? needed : most;
  if (!with_sums) {
    const std::int64_t better = quotient(share(kStreamingBlocks), groups);
    const std::int64_t allowed = positions / kLongSegment;
    const std::int64_t fine = better < allowed ? better : allowed;
    if (fine > split) split = fine;
  }
  const std::int64_t columns = quotient(positions, split);
  plan.columns = static_cast<int>(columns);
  plan.segments = static_cast<int>(quotient(positions, columns));
  plan.units = groups * plan.segments;
  const std::int64_t limit = with_sums ? share(kSummingBlocks) : kMaxBlocks / plan.lanes.across;
  plan.parts = plan.units < limit ? plan.units : limit;
  return plan;
}

constexpr int kImageLines = kThreads / kLanes;

/// For lines of images whose channels lie side by side: a warp has a line; block b takes lines
/// [g * kImageLines, (g + 1) * kImageLines) for g = b, b + blocks, ...
struct ImageRowsPlan {
  std::int64_t lines = 0;
  int width = 1;
  std::int64_t blocks = 1;

  [[nodiscard]] constexpr Grid grid() const {
    return {.blocks = blocks, .threads_x = kLanes, .threads_y = kImageLines};
  }
};

constexpr ImageRowsPlan plan_image_rows(std::int64_t lines, int width) {
  const std::int64_t groups = quotient(lines, kImageLines);
  return {.lines = lines, .width = width, .blocks = groups < kMaxBlocks ? groups : kMaxBlocks};
}

/// Values of a parameter that a block updates.
constexpr std::int64_t kUpdateValues = 8192;

constexpr std::int64_t update_blocks(std::int64_t values) {
  return quotient(values, kUpdateValues);
}

}  // namespace xception::cuda
