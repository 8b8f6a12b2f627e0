#include "xception/data/statistics.h"

#include <cmath>
#include <mutex>

#include "in_threads.h"
#include "xception/core/error.h"

namespace xception {
namespace {

/// Sums of one channel's values, 0 .. 255, exact for 2^47 of them.
struct Sums {
  std::array<std::uint64_t, 3> value{};
  std::array<std::uint64_t, 3> square{};
  std::uint64_t pixels = 0;

  void add(const RgbImage& image) {
    pixels += static_cast<std::uint64_t>(image.height * image.width);
    for (std::size_t i = 0; i + 2 < image.pixels.size(); i += 3) {
      for (std::size_t c = 0; c < 3; ++c) {
        const std::uint64_t x = image.pixels[i + c];
        value[c] += x;
        square[c] += x * x;
      }
    }
  }
  void add(const Sums& other) {
    pixels += other.pixels;
    for (std::size_t c = 0; c < 3; ++c) {
      value[c] += other.value[c];
      square[c] += other.square[c];
    }
  }
};

}  // namespace

ChannelStatistics channel_statistics(
    const Dataset& dataset,
    const std::function<void(std::int64_t done, std::int64_t total)>& progress) {
  constexpr std::int64_t kPiece = 64;  // images a thread takes at once
  const auto total = dataset.images->size(Split::train);
  if (total < 1) throw input_error("data", "{}: no training images", dataset.name);
  Sums all;
  std::int64_t done = 0;
  std::mutex mutex;
  for_each_in_threads(static_cast<std::size_t>((total + kPiece - 1) / kPiece), [&](std::size_t i) {
    const auto first = static_cast<std::int64_t>(i) * kPiece;
    const auto end = std::min(first + kPiece, total);
    Sums sums;
    for (auto index = first; index < end; ++index) {
      naming_the_image(dataset, Split::train, index,
                       [&] { sums.add(dataset.images->read(Split::train, index)); });
    }
    const std::lock_guard lock(mutex);
    all.add(sums);
    if (all.pixels >> 47 != 0) throw run_error("data", "more than 2^47 pixels");
    done += end - first;
    if (progress) progress(done, total);
  });
  ChannelStatistics result{.images = total, .pixels = static_cast<std::int64_t>(all.pixels)};
  const auto n = static_cast<long double>(all.pixels);
  for (std::size_t c = 0; c < 3; ++c) {
    const auto mean = static_cast<long double>(all.value[c]) / n;
    const auto variance = static_cast<long double>(all.square[c]) / n - mean * mean;
    result.mean[c] = static_cast<double>(mean / 255);
    result.std[c] = static_cast<double>(std::sqrt(std::max(variance, 0.0L)) / 255);
  }
  return result;
}

}  // namespace xception
