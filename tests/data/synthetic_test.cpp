#include "xception/data/synthetic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "data/file_testing.h"

namespace xception {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::ptrdiff_t kPixels = cifar10::kPixelBytes;

/// Squared distance, or any number from `limit` on if it is at least `limit`.
std::int64_t distance(const std::uint8_t* a, const std::uint8_t* b, std::ptrdiff_t size,
                      std::int64_t limit) {
  constexpr std::ptrdiff_t kStretch = 256;
  std::int64_t sum = 0;
  for (std::ptrdiff_t begin = 0; begin < size && sum < limit; begin += kStretch) {
    std::int32_t part = 0;
    for (std::ptrdiff_t k = begin; k < std::min(begin + kStretch, size); ++k) {
      part += (a[k] - b[k]) * (a[k] - b[k]);
    }
    sum += part;
  }
  return sum;
}

/// Share of test images whose nearest training image has their label; `size` numbers an image.
double nearest_neighbor(const Bytes& train, const Bytes& train_labels, const Bytes& test,
                        const Bytes& test_labels, std::ptrdiff_t size) {
  int right = 0;
  for (std::ptrdiff_t i = 0; i < std::ssize(test_labels); ++i) {
    auto nearest = std::numeric_limits<std::int64_t>::max();
    std::uint8_t label = 0;
    for (std::ptrdiff_t j = 0; j < std::ssize(train_labels); ++j) {
      const auto d = distance(&test[static_cast<std::size_t>(i * size)],
                              &train[static_cast<std::size_t>(j * size)], size, nearest);
      if (d >= nearest) continue;
      nearest = d;
      label = train_labels[static_cast<std::size_t>(j)];
    }
    right += label == test_labels[static_cast<std::size_t>(i)] ? 1 : 0;
  }
  return static_cast<double>(right) / static_cast<double>(test_labels.size());
}

/// Each image's mean color, three numbers.
Bytes mean_colors(const Bytes& images) {
  Bytes means;
  for (auto plane = images.begin(); plane != images.end(); plane += kPixels / 3) {
    int sum = 0;
    for (auto pixel = plane; pixel != plane + kPixels / 3; ++pixel) sum += *pixel;
    means.push_back(static_cast<std::uint8_t>(sum / (kPixels / 3)));
  }
  return means;
}

TEST(Synthetic, SmallerSetIsTheBeginningOfALargerOne) {
  const auto large = synthesize_cifar10(5, 60, 40);
  const auto small = synthesize_cifar10(5, 23, 17);
  const auto begins = [](const Bytes& whole, const Bytes& part) {
    return std::equal(part.begin(), part.end(), whole.begin());
  };
  ASSERT_EQ(small.train.images.size(), 23U * 3072U);
  ASSERT_EQ(small.test.images.size(), 17U * 3072U);
  EXPECT_TRUE(begins(large.train.images, small.train.images));
  EXPECT_TRUE(begins(large.train.labels, small.train.labels));
  EXPECT_TRUE(begins(large.test.images, small.test.images));
  EXPECT_TRUE(begins(large.test.labels, small.test.labels));
  EXPECT_NE(large.checksum, small.checksum);
}

TEST(Synthetic, SeedsAndSplitsDiffer) {
  const auto set = synthesize_cifar10(5, 40, 40);
  const auto high = synthesize_cifar10(5 + (std::uint64_t{1} << 32), 40, 40);
  EXPECT_NE(set.train.labels, set.test.labels);
  EXPECT_NE(set.train.labels, high.train.labels);
  // No image occurs twice, within a split or across.
  std::set<std::string> images;
  for (const auto* split : {&set.train, &set.test, &high.train, &high.test}) {
    for (auto image = split->images.begin(); image != split->images.end(); image += kPixels) {
      EXPECT_TRUE(images.emplace(image, image + kPixels).second);
    }
  }
}

TEST(Synthetic, LabelsAreBalancedAtAnyCount) {
  const auto set = synthesize_cifar10(6, 137, 45);
  for (const auto* split : {&set.train, &set.test}) {
    std::array<int, 10> counts{};
    for (const auto label : split->labels) {
      ++counts.at(label);
      const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
      ASSERT_LE(*most - *least, 1);
    }
  }
}

// Changed pictures would make every documented figure wrong without a sound.
TEST(Synthetic, PicturesStayTheSame) {
  EXPECT_EQ(synthesize_cifar10(0, 100, 50).checksum,
            "17721539a2ca7a4226aefe9ea657773755573d85e126a19bee97a8cb9cfe0b2a");
}

TEST(Synthetic, NearestNeighborIsNotEnough) {
  const auto set = synthesize_cifar10(1, 4000, 500);
  const double pixels = nearest_neighbor(set.train.images, set.train.labels, set.test.images,
                                         set.test.labels, kPixels);
  EXPECT_LT(pixels, 0.6);
  EXPECT_GT(pixels, 0.2);  // chance is 0.1
  const double color = nearest_neighbor(mean_colors(set.train.images), set.train.labels,
                                        mean_colors(set.test.images), set.test.labels, 3);
  EXPECT_LT(color, 0.17);  // 5 standard deviations above chance
  RecordProperty("nearest_neighbor", std::to_string(pixels));
}

TEST(Synthetic, CountsBeyondThoseOfCifar10AreErrors) {
  const auto error = [](std::int64_t train, std::int64_t test) {
    return error_of([&] { (void)synthesize_cifar10(0, train, test); });
  };
  EXPECT_EQ(
      error(-1, 10),
      "[data] -1 training and 10 test images to synthesize, expected at most 50000 and 10000");
  EXPECT_NE(error(50'001, 1), "");
  EXPECT_NE(error(1, 10'001), "");
  EXPECT_NE(error(1, -1), "");
  EXPECT_EQ(synthesize_cifar10(0, 0, 0).train.size(), 0);
}

using SyntheticFilesTest = FolderTest;

TEST_F(SyntheticFilesTest, AreWhatWasDrawn) {
  const auto set = synthesize_cifar10(3, 30, 20);
  write_cifar10(folder, set);
  const auto read = read_cifar10(folder);
  EXPECT_EQ(read.train.images, set.train.images);
  EXPECT_EQ(read.test.labels, set.test.labels);
  EXPECT_EQ(read.checksum, set.checksum);
  EXPECT_EQ(read.name, "CIFAR-10 (synthetic)");
  EXPECT_THAT(read.class_names,
              testing::ElementsAre("disc", "ring", "crescent", "square", "triangle", "cross",
                                   "star", "stripes", "checker", "dots"));
}

}  // namespace
}  // namespace xception
