#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <random>
#include <string>

#include "data/file_testing.h"
#include "xception/core/files.h"
#include "xception/data/image_io.h"

namespace xception {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// Written and read by Pillow; see tests/python/make_images.py.
class ImagePillowTest : public FolderTest {
 protected:
  void SetUp() override {
    const std::string python = environment("XCEPTION_TEST_PYTHON");
    const std::string script = environment("XCEPTION_SOURCE_DIR") + "/tests/python/make_images.py";
    const std::string command = "'" + python + "' '" + script + "' '" + folder.string() + "'";
    ASSERT_EQ(std::system(command.c_str()), 0)
        << "XCEPTION_TEST_PYTHON must be a Python with Pillow and NumPy: " << command;
  }

  /// Compares what `read` gives of each file in a list with what Pillow gave; returns their number.
  int compare(const std::string& list,
              const std::function<RgbImage(const std::filesystem::path&)>& read) {
    std::ifstream manifest(folder / list);
    std::string name;
    std::int64_t width = 0;
    std::int64_t height = 0;
    int count = 0;
    while (manifest >> name >> width >> height) {
      SCOPED_TRACE(name);
      ++count;
      RgbImage image;
      EXPECT_NO_THROW(image = read(folder / name));
      EXPECT_EQ(image.width, width);
      EXPECT_EQ(image.height, height);
      const std::string expected = read_file(folder / (name + ".rgb"), "test");
      EXPECT_EQ(image.pixels.size(), expected.size());
      if (image.pixels.size() != expected.size()) continue;
      const auto [ours, theirs] =
          std::mismatch(image.pixels.begin(), image.pixels.end(), expected.begin(),
                        [](std::uint8_t a, char b) { return a == static_cast<std::uint8_t>(b); });
      if (ours == image.pixels.end()) continue;
      ADD_FAILURE() << "first difference at byte " << ours - image.pixels.begin() << ": "
                    << int{*ours} << " instead of " << int{static_cast<std::uint8_t>(*theirs)};
    }
    return count;
  }
};

TEST_F(ImagePillowTest, PixelsAreEqualInEveryMode) {
  EXPECT_GT(compare("manifest.txt", [](const auto& file) { return read_image(file); }), 150);
}

TEST_F(ImagePillowTest, PartsAreThoseOfTheWhole) {
  std::mt19937 random(3);
  const auto below = [&](std::int64_t n) {
    return std::uniform_int_distribution<std::int64_t>(0, n - 1)(random);
  };
  int parts = 0;
  EXPECT_GT(
      compare("manifest.txt",
              [&](const auto& file) {
                auto whole = read_image(file);
                for (int i = 0; i < 8; ++i, ++parts) {
                  const auto top = below(whole.height), left = below(whole.width);
                  const auto rows = 1 + below(whole.height - top);
                  const auto columns = 1 + below(whole.width - left);
                  const auto found = open_image(file)->part(top, left, rows, columns);
                  const auto expected =
                      open_image(std::make_shared<RgbImage>(whole))->part(top, left, rows, columns);
                  EXPECT_EQ(found.pixels, expected.pixels)
                      << file << ' ' << top << ' ' << left << ' ' << rows << ' ' << columns;
                }
                return whole;
              }),
      150);
  EXPECT_GT(parts, 1000);
}

TEST_F(ImagePillowTest, PicturesAreTurnedAlike) {
  EXPECT_GT(compare("upright.txt", [](const auto& file) { return upright(read_picture(file)); }),
            45);
}

}  // namespace
}  // namespace xception
