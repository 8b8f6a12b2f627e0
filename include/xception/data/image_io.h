#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace xception {

/// An 8-bit RGB picture: height x width x 3, row by row, red first.
struct RgbImage {
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::vector<std::uint8_t> pixels;
};

/// Larger images are refused before memory is set aside for them: the header of a damaged or
/// hostile file can claim any size.
inline constexpr std::int64_t kMaxImagePixels = 256'000'000;

/// Decodes a JPEG (libjpeg-turbo) or PNG (libpng) file, told apart by content, not by name. The
/// pixels equal Pillow's `Image.open(file).convert("RGB")` byte for byte: grey and palettes become
/// RGB, alpha and transparency are dropped (not blended), colour profiles, gamma and EXIF
/// orientation are ignored, CMYK is read as Adobe writes it.
/// Where Pillow is not followed: 16-bit grey keeps its high byte, as 16-bit colour does (Pillow
/// saturates), and a PNG with a wrong checksum or without its end is damaged even if Pillow can
/// read it. A JPEG with errors in the middle decodes, as in Pillow; one that ends early doesn't.
/// Errors (input): missing, unreadable, neither JPEG nor PNG, damaged, more than kMaxImagePixels.
[[nodiscard]] RgbImage read_image(const std::filesystem::path& file);

/// The bytes of an 8-bit RGB PNG. Errors (run): no pixels, or not as many as height and width say.
[[nodiscard]] std::string encode_png(const RgbImage& image);

/// Writes an 8-bit RGB PNG, atomically. Errors (run): cannot be written, no pixels, or not as many
/// as height and width say.
void write_png(const std::filesystem::path& file, const RgbImage& image);

}  // namespace xception
