#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <istream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace xception {

/// An 8-bit RGB picture: height x width x 3, row by row, red first.
struct RgbImage {
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::vector<std::uint8_t> pixels;
};

/// Whether a file's name ends as those of images that can be decoded do, in any case.
[[nodiscard]] bool has_image_extension(std::string_view name);

/// Those endings in words, for messages: `.jpg, ..., .png or .webp`.
[[nodiscard]] std::string image_extensions();

/// Larger images are refused before memory is set aside for them: the header of a damaged or
/// hostile file can claim any size.
inline constexpr std::int64_t kMaxImagePixels = 256'000'000;

/// A decoded picture as its file stores it, and how it is to be held. Turning it upright as a whole
/// would take its memory a second time, so that its parts are turned as they are taken.
struct Picture {
  RgbImage stored;
  int orientation = 1;  ///< EXIF's, 1 to 8: 1 is upright, 6 a quarter turn clockwise away from it

  /// Size of the upright picture, px.
  [[nodiscard]] std::int64_t height() const;
  [[nodiscard]] std::int64_t width() const;

  /// Copies a part of the upright picture, `rows` x `columns` px from (top, left) on, inside it, to
  /// `to`: rows x columns x 3 bytes.
  void copy(std::int64_t top, std::int64_t left, std::int64_t rows, std::int64_t columns,
            std::uint8_t* to) const;
};

/// Called with the bytes that a picture's pixels are about to take; may wait, or throw.
using BeforeDecoding = std::function<void(std::int64_t bytes)>;

/// Decodes an image file as `read_image` does, with its EXIF orientation: that of JPEG's APP1,
/// PNG's eXIf or WebP's EXIF chunk, 1 where there is none or the block is damaged. Of another file,
/// only the beginning is read. Errors (input): as `read_image`.
[[nodiscard]] Picture read_picture(const std::filesystem::path& file,
                                   const BeforeDecoding& before = {});

/// The same from a stream, such as standard input; `name` stands for the file in messages.
[[nodiscard]] Picture read_picture(std::istream& stream, const std::string& name,
                                   const BeforeDecoding& before = {});

/// The whole picture upright, as Pillow's `ImageOps.exif_transpose` turns it.
[[nodiscard]] RgbImage upright(Picture picture);

/// Decodes a JPEG (libjpeg-turbo), PNG (libpng) or WebP (libwebp, where it was built with) file,
/// told apart by content, not by name. The pixels equal Pillow's `Image.open(file).convert("RGB")`
/// byte for byte: gray and palettes become RGB, alpha and transparency are dropped (not blended),
/// color profiles, gamma and EXIF orientation are ignored, CMYK is read as Adobe writes it. Where
/// Pillow is not followed: 16-bit gray keeps its high byte, as 16-bit color does (Pillow
/// saturates), and a PNG with a wrong checksum or without its end is damaged even if Pillow can
/// read it. A JPEG with errors in the middle decodes, as in Pillow; one that ends early doesn't.
/// Errors (input): missing, unreadable, another format, an animated WebP, damaged, more than
/// kMaxImagePixels.
[[nodiscard]] RgbImage read_image(const std::filesystem::path& file);

/// An image that is being read: its size is known, and of its pixels a part can be had.
class OpenImage {
 public:
  virtual ~OpenImage() = default;
  [[nodiscard]] virtual std::int64_t height() const = 0;
  [[nodiscard]] virtual std::int64_t width() const = 0;
  /// `rows` x `columns` px from (top, left) on, inside the image: the same as `read_image` gives
  /// there, bit for bit. Errors (input): damaged.
  [[nodiscard]] virtual RgbImage part(std::int64_t top, std::int64_t left, std::int64_t rows,
                                      std::int64_t columns) = 0;
};

/// One that has been decoded. Errors (run): not as many pixels as height and width say.
[[nodiscard]] std::unique_ptr<OpenImage> open_image(std::shared_ptr<const RgbImage> image);

/// A file's, with `read_image`'s pixels and errors. Of most JPEG files only the part that is asked
/// for is decoded, so that damage elsewhere stays unnoticed; others are decoded at once.
[[nodiscard]] std::unique_ptr<OpenImage> open_image(const std::filesystem::path& file);

/// The same of a file's bytes; `name` stands for the file in messages.
[[nodiscard]] std::unique_ptr<OpenImage> open_image(std::string bytes, const std::string& name);

/// The bytes of an 8-bit RGB PNG. Errors (run): no pixels, or not as many as height and width say.
[[nodiscard]] std::string encode_png(const RgbImage& image);

/// Writes an 8-bit RGB PNG, atomically. Errors (run): cannot be written, no pixels, or not as many
/// as height and width say.
void write_png(const std::filesystem::path& file, const RgbImage& image);

}  // namespace xception
