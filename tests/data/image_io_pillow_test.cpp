#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>

#include "data/file_testing.h"
#include "xception/core/files.h"
#include "xception/data/image_io.h"

namespace xception {
namespace {

using ImagePillowTest = FolderTest;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// PNG and JPEG in every mode, written and read by Pillow; see tests/python/make_images.py.
TEST_F(ImagePillowTest, PixelsAreEqualInEveryMode) {
  const std::string python = environment("XCEPTION_TEST_PYTHON");
  const std::string script = environment("XCEPTION_SOURCE_DIR") + "/tests/python/make_images.py";
  const std::string command = "'" + python + "' '" + script + "' '" + folder.string() + "'";
  ASSERT_EQ(std::system(command.c_str()), 0)
      << "XCEPTION_TEST_PYTHON must be a Python with Pillow and NumPy: " << command;

  std::ifstream manifest(folder / "manifest.txt");
  std::string name;
  std::int64_t width = 0;
  std::int64_t height = 0;
  int count = 0;
  while (manifest >> name >> width >> height) {
    SCOPED_TRACE(name);
    ++count;
    RgbImage image;
    ASSERT_NO_THROW(image = read_image(folder / name));
    EXPECT_EQ(image.width, width);
    EXPECT_EQ(image.height, height);
    const std::string expected = read_file(folder / (name + ".rgb"), "test");
    ASSERT_EQ(image.pixels.size(), expected.size());
    const auto [ours, theirs] =
        std::mismatch(image.pixels.begin(), image.pixels.end(), expected.begin(),
                      [](std::uint8_t a, char b) { return a == static_cast<std::uint8_t>(b); });
    if (ours == image.pixels.end()) continue;
    ADD_FAILURE() << "first difference at byte " << ours - image.pixels.begin() << ": "
                  << int{*ours} << " instead of " << int{static_cast<std::uint8_t>(*theirs)};
  }
  EXPECT_GT(count, 150);
}

}  // namespace
}  // namespace xception
