#pragma once

#include <istream>
#include <string>
#include <string_view>

#include "xception/core/error.h"
#include "xception/data/image_io.h"

// The formats behind image_io.h.
namespace xception {

/// The error (input) of a file that can't be decoded; format: `PNG`.
[[nodiscard]] Error damaged_image(const std::string& name, std::string_view format,
                                  std::string_view what);

/// An image of the size that a header claims, once that is known to be sane. Error (input).
[[nodiscard]] RgbImage blank_image(const std::string& name, std::int64_t width, std::int64_t height,
                                   const BeforeDecoding& before, std::int64_t channels = 3);

/// The orientation that a TIFF block (EXIF without its `Exif\0\0`) states; 1 where it states none,
/// or is damaged.
[[nodiscard]] int exif_orientation(std::string_view block);

/// A whole file. Errors (input): damaged, too large.
[[nodiscard]] Picture decode_jpeg(const std::string& name, std::string_view bytes,
                                  const BeforeDecoding& before);
/// The bytes of a JPEG of quality 95, colors at half the resolution, as Pillow's by default.
/// Errors (run): larger than the format allows.
[[nodiscard]] std::string encode_jpeg(const RgbImage& image);
/// Whether the markers of a JPEG file lead to an end-of-image marker.
[[nodiscard]] bool jpeg_has_end(std::string_view bytes);
/// A JPEG of which parts can be decoded: of gray or YCbCr, in one scan, with an end. Null: another.
[[nodiscard]] std::unique_ptr<OpenImage> open_jpeg(const std::string& name, std::string& bytes);
/// A whole file. Errors (input): damaged, too large, animated; this program was built without WebP.
[[nodiscard]] Picture decode_webp(const std::string& name, std::string_view bytes,
                                  const BeforeDecoding& before);
/// A file whose first bytes were read already. Errors (input): damaged, too large.
[[nodiscard]] Picture decode_png(const std::string& name, std::string_view start,
                                 std::istream& rest, const BeforeDecoding& before);

}  // namespace xception
