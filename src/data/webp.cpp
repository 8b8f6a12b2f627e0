#include "image_formats.h"

#ifdef XCEPTION_WITH_WEBP
#include <webp/decode.h>
#endif

namespace xception {

#ifdef XCEPTION_WITH_WEBP
namespace {

/// The orientation in the file's EXIF chunk.
int webp_orientation(std::string_view bytes) {
  constexpr std::size_t kFileHeader = 12, kChunkHeader = 8;
  constexpr std::string_view kExif("Exif\0\0", 6);  // some writers begin the chunk with it
  for (std::size_t at = kFileHeader; at + kChunkHeader <= bytes.size();) {
    std::size_t size = 0;
    for (std::size_t i = 8; i-- > 4;) size = size << 8 | static_cast<unsigned char>(bytes[at + i]);
    const auto chunk = bytes.substr(at + kChunkHeader, size);
    if (bytes.substr(at).starts_with("EXIF")) {
      return exif_orientation(chunk.starts_with(kExif) ? chunk.substr(kExif.size()) : chunk);
    }
    at += kChunkHeader + size + size % 2;
  }
  return 1;
}

}  // namespace

Picture decode_webp(const std::string& name, std::string_view bytes, const BeforeDecoding& before) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  WebPBitstreamFeatures features{};
  const auto status = WebPGetFeatures(data, bytes.size(), &features);
  if (status == VP8_STATUS_NOT_ENOUGH_DATA) throw damaged_image(name, "WebP", "it ends early");
  if (status != VP8_STATUS_OK) throw damaged_image(name, "WebP", "its header is wrong");
  if (features.has_animation != 0) {
    throw input_error("data", "{}: found an animated WebP, expected a still image: convert it",
                      name);
  }
  RgbImage image = blank_image(name, features.width, features.height, before);
  const auto stride = 3 * features.width;
  if (WebPDecodeRGBInto(data, bytes.size(), image.pixels.data(), image.pixels.size(), stride) ==
      nullptr) {
    throw damaged_image(name, "WebP", "its pixels cannot be decoded");
  }
  return {std::move(image), webp_orientation(bytes)};
}
#else
Picture decode_webp(const std::string& name, std::string_view, const BeforeDecoding&) {
  throw input_error("data",
                    "{}: found a WebP image, but this program was built without WebP: install "
                    "libwebp-dev and build it again, or convert the image",
                    name);
}
#endif

}  // namespace xception
