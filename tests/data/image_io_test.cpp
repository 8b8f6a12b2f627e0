#include "xception/data/image_io.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/file_testing.h"
#include "data/sample_images.h"
#include "xception/core/files.h"
#include "xception/core/random.h"

namespace xception {
namespace {

using testing::AnyOf;
using testing::EndsWith;
using testing::HasSubstr;

std::string from_base64(std::string_view text) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char digit : text.substr(0, text.find('='))) {
    bits = bits << 6 | static_cast<std::uint32_t>(kDigits.find(digit));
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes.push_back(static_cast<char>(bits >> count));
  }
  return bytes;
}

std::string sample(std::string_view name) {
  for (const auto& image : kSampleImages) {
    if (image.name == name) return from_base64(image.base64);
  }
  ADD_FAILURE() << name;
  return "";
}

std::string_view bytes_of(const RgbImage& image) {
  return {reinterpret_cast<const char*>(image.pixels.data()), image.pixels.size()};
}

RgbImage random_image(std::int64_t height, std::int64_t width, std::uint32_t which = 0) {
  RgbImage image{height, width,
                 std::vector<std::uint8_t>(static_cast<std::size_t>(height * width * 3))};
  CounterRandom random(9, RandomStream::order, which);
  for (auto& byte : image.pixels) byte = static_cast<std::uint8_t>(random.bits());
  return image;
}

class ReadImageTest : public FolderTest {
 protected:
  /// The error of reading a file with this content.
  [[nodiscard]] std::string error(std::string_view content) const {
    const auto file = write("image", content);
    const auto message = error_of([&] { (void)read_image(file); });
    EXPECT_THAT(message, HasSubstr("[data] " + file.string() + ": "));
    return message;
  }
};

using WritePngTest = FolderTest;

TEST_F(ReadImageTest, PixelsAreThoseOfPillow) {
  for (const auto& expected : kSampleImages) {
    SCOPED_TRACE(expected.name);
    const auto image = read_image(write("any name", from_base64(expected.base64)));
    EXPECT_EQ(image.width, expected.width);
    EXPECT_EQ(image.height, expected.height);
    EXPECT_EQ(sha256(bytes_of(image)), expected.rgb_sha256);
  }
}

TEST_F(ReadImageTest, ContentCountsAndNotTheName) {
  EXPECT_EQ(read_image(write("a.jpg", sample("rgb.png"))).width, 13);
  EXPECT_EQ(read_image(write("a.png", sample("baseline.jpg"))).width, 23);
}

TEST_F(ReadImageTest, MissingFileAndDirectoryAreErrors) {
  EXPECT_EQ(error_of([&] { (void)read_image(folder / "none.png"); }),
            "[data] " + (folder / "none.png").string() + ": no such file; check the path");
  EXPECT_THAT(error_of([&] { (void)read_image(folder); }), HasSubstr("is a directory"));
}

TEST_F(ReadImageTest, OtherFormatsAreNamed) {
  using namespace std::string_view_literals;
  constexpr std::array<std::pair<std::string_view, const char*>, 15> kCases{{
      {""sv, "an empty file"},
      {"GIF89a\1\0\1\0"sv, "a GIF image"},
      {"RIFF\x24\0\0\0WAVEfmt "sv, "bytes 52 49 46 46 24 00 00 00"},
      {"BM\x46\0\0\0"sv, "a BMP image"},
      {"II*\0"sv, "a TIFF image"},
      {"\0\0\0\x20"
       "ftypavif"sv,
       "an AVIF, HEIC or MP4 file"},
      {"<!DOCTYPE html>"sv, "a web page"},
      {"version https://git-lfs.github.com/spec/v1"sv, "a Git LFS pointer"},
      {"\x1F\x8B\x08"sv, "a gzip archive"},
      {"hello\n"sv, "text"},
      {"\xFF\xD8"sv, "a file cut short"},
      {"\x89PNG"sv, "a file cut short"},
      {"\0\1\2"sv, "bytes 00 01 02"},
      {"\xFF"sv, "a file cut short"},
      {"\x80\x81"sv, "bytes 80 81"},
  }};
  for (const auto& [content, found] : kCases) {
    EXPECT_THAT(error(content),
                HasSubstr(std::string(": found ") + found +
                          ", expected a JPEG, PNG or WebP image: convert it or remove it"));
  }
}

TEST_F(ReadImageTest, EveryTruncationIsAnError) {
  for (const auto& image : kSampleImages) {
    const auto bytes = from_base64(image.base64);
    for (std::size_t size = 8; size < bytes.size(); ++size) {
      SCOPED_TRACE(testing::Message() << image.name << " cut to " << size);
      EXPECT_THAT(error(std::string_view(bytes).substr(0, size)),
                  AnyOf(HasSubstr("damaged JPEG ("), HasSubstr("damaged PNG (")));
    }
  }
}

TEST_F(ReadImageTest, TruncationIsCalledByItsName) {
  auto bytes = sample("baseline.jpg");
  bytes.resize(bytes.size() - 10);
  EXPECT_THAT(error(bytes),
              HasSubstr(": damaged JPEG (it ends early): copy or download the file again"));
  bytes = sample("rgb.png");
  bytes.resize(bytes.size() - 1);
  EXPECT_THAT(error(bytes),
              HasSubstr(": damaged PNG (it ends early): copy or download the file again"));
}

TEST_F(ReadImageTest, TruncationAfterAHarmlessWarningIsAnError) {
  // Three stray bytes after the tables make the decoder warn before it runs out of data.
  auto bytes = sample("baseline.jpg");
  bytes.insert(bytes.find("\xFF\xDA"), "\1\2\3");
  EXPECT_EQ(read_image(write("odd", bytes)).width, 23);
  bytes.resize(bytes.size() - 10);
  EXPECT_THAT(error(bytes), HasSubstr("it ends early"));
}

TEST_F(ReadImageTest, PngChecksumsCount) {
  auto bytes = sample("rgb.png");
  bytes[bytes.size() - 20] ^= 1;  // in the pixels
  EXPECT_THAT(error(bytes), HasSubstr(": damaged PNG ("));
}

TEST_F(ReadImageTest, HugeClaimsAreRefusedBeforeMemoryIsTaken) {
  // A JPEG's header carries no checksum, so that its size can be changed in place.
  auto bytes = sample("baseline.jpg");
  const auto frame = bytes.find("\xFF\xC0");
  bytes.replace(frame + 5, 4, "\xFA\x00\xFA\x00", 4);
  EXPECT_THAT(error(bytes), HasSubstr(": 64000 x 64000 pixels, expected at most 256 megapixels"));
  bytes.replace(frame + 5, 4, "\x00\x00\x00\x10", 4);
  EXPECT_THAT(error(bytes), HasSubstr(": damaged JPEG"));
}

TEST_F(ReadImageTest, EndlessScansAreRefused) {
  // Each scan of a progressive file costs a pass over the whole image: a small file, hours of work.
  auto bytes = sample("progressive.jpg");
  const auto last = bytes.rfind("\xFF\xDA");
  const auto scan = bytes.substr(last, bytes.size() - 2 - last);
  for (int i = 0; i < 600; ++i) bytes.insert(last, scan);
  EXPECT_THAT(error(bytes), HasSubstr(": damaged JPEG ("));
}

TEST_F(WritePngTest, ReadsBackWhatWasWritten) {
  for (const auto& [height, width] : {std::pair{1, 1}, {1, 300}, {300, 1}, {37, 53}}) {
    const auto image = random_image(height, width);
    write_png(folder / "image.png", image);
    const auto read = read_image(folder / "image.png");
    EXPECT_EQ(read.height, height);
    EXPECT_EQ(read.width, width);
    EXPECT_EQ(read.pixels, image.pixels);
    EXPECT_THAT(read_file(folder / "image.png", "test"), EndsWith("IEND\xAE\x42\x60\x82"));
  }
}

TEST_F(WritePngTest, ReplacesTheFileAndLeavesNothingBeside) {
  write("image.png", "old");
  write_png(folder / "image.png", random_image(2, 3));
  EXPECT_EQ(read_image(folder / "image.png").width, 3);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
}

TEST_F(WritePngTest, WrongSizesAndPlacesAreRunErrors) {
  const auto file = folder / "image.png";
  const auto error_with = [&](std::int64_t height, std::int64_t width) {
    return error_of(
        [&] {
          write_png(file, {height, width, std::vector<std::uint8_t>(12)});
        },
        Error::Kind::run);
  };
  EXPECT_THAT(error_with(2, 3), HasSubstr("12 bytes of pixels for 3 x 2 RGB pixels"));
  EXPECT_THAT(error_with(-2, -2), HasSubstr("12 bytes of pixels"));
  EXPECT_THAT(error_with(0, 0), HasSubstr("12 bytes of pixels"));
  EXPECT_FALSE(std::filesystem::exists(file));
  EXPECT_THAT(
      error_of([&] { write_png(folder / "none/image.png", random_image(1, 1)); }, Error::Kind::run),
      HasSubstr((folder / "none/image.png").string() + ": cannot be written"));
}

/// A JPEG with this EXIF block.
std::string with_exif(std::string jpeg, const std::string& block) {
  const auto size = block.size() + 8;
  std::string segment = "\xFF\xE1";
  segment += static_cast<char>(size >> 8);
  segment += static_cast<char>(size & 0xFF);
  segment += std::string("Exif\0\0", 6) + block;
  return jpeg.insert(2, segment);
}

TEST_F(ReadImageTest, DamagedExifIsNoError) {
  const std::string good("II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0", 26);
  const auto orientation = [&](const std::string& block) {
    return read_picture(write("image", with_exif(sample("baseline.jpg"), block))).orientation;
  };
  EXPECT_EQ(orientation(good), 6);
  EXPECT_EQ(read_image(folder / "image").width, 23);  // as it is stored
  for (std::size_t size = 0; size < 20; ++size) EXPECT_EQ(orientation(good.substr(0, size)), 1);
  for (std::uint32_t round = 0; round < 500; ++round) {
    CounterRandom random(6, RandomStream::order, round);
    auto block = good;
    for (auto flips = 1 + random.below(4); flips > 0; --flips) {
      block[static_cast<std::size_t>(random.below(std::ssize(block)))] =
          static_cast<char>(random.bits());
    }
    const int found = orientation(block);
    EXPECT_GE(found, 1);
    EXPECT_LE(found, 8);
  }
}

TEST_F(ReadImageTest, PartsAreThoseOfTheUprightPicture) {
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Picture picture{random_image(5, 7), orientation};
    const auto whole = upright(picture);
    EXPECT_EQ(whole.height, picture.height());
    EXPECT_EQ(whole.width, picture.width());
    std::vector<std::uint8_t> part(std::size_t{3} * 2 * 3);
    picture.copy(1, 2, 3, 2, part.data());
    for (std::size_t i = 0; i < part.size(); ++i) {
      const auto row = 1 + i / 6;
      const auto column = 2 + i % 6 / 3;
      const auto at = (row * static_cast<std::size_t>(whole.width) + column) * 3 + i % 3;
      EXPECT_EQ(part[i], whole.pixels[at]) << orientation;
    }
  }
}

/// Damaged files must be refused or read, never crash; run under a sanitizer this is a fuzz test.
TEST_F(ReadImageTest, SurvivesDamage) {
  std::array<int, 2> outcomes{};
  for (std::uint32_t round = 0; round < 2000; ++round) {
    CounterRandom random(6, RandomStream::order, round);
    auto bytes = from_base64(kSampleImages[round % kSampleImages.size()].base64);
    for (auto flips = 1 + random.below(8); flips > 0; --flips) {
      const auto at = static_cast<std::size_t>(2 + random.below(std::ssize(bytes) - 2));
      bytes[at] = static_cast<char>(random.bits());
    }
    const auto file = write("image", bytes);
    try {
      const auto image = read_image(file);
      EXPECT_EQ(std::ssize(image.pixels), image.height * image.width * 3);
      ++outcomes[0];
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Error::Kind::input) << error.what();
      ++outcomes[1];
    }
  }
  EXPECT_GT(outcomes[0], 100);
  EXPECT_GT(outcomes[1], 100);
}

}  // namespace
}  // namespace xception
