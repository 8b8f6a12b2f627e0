#include <turbojpeg.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "image_formats.h"

namespace xception {
namespace {

/// The orientation in the first EXIF block before the image.
int jpeg_orientation(std::string_view bytes) {
  constexpr std::string_view kExif("Exif\0\0", 6);
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  std::size_t at = 2;  // past the start-of-image marker
  while (at + 4 <= bytes.size() && byte(at) == 0xFF) {
    const unsigned code = byte(at + 1);
    if (code == 0xFF) {  // any number of FF may precede a code
      ++at;
      continue;
    }
    if (code == 0xDA || code == 0xD9) break;
    const std::size_t length = static_cast<std::size_t>(byte(at + 2)) << 8 | byte(at + 3);
    if (length < 2) break;
    const auto segment = bytes.substr(at + 4, length - 2);
    if (code == 0xE1 && segment.starts_with(kExif)) {
      return exif_orientation(segment.substr(kExif.size()));
    }
    at += 2 + length;
  }
  return 1;
}

/// CMYK as in Adobe's files, that is inverted, to RGB with Pillow's rounding. `pixels` comes in
/// with four bytes a pixel and leaves with three.
void cmyk_to_rgb(std::vector<std::uint8_t>& pixels) {
  for (std::size_t i = 0; i < pixels.size() / 4; ++i) {
    const unsigned white = pixels[4 * i + 3];  // 255 - black
    for (std::size_t c = 0; c < 3; ++c) {
      const unsigned ink = 255U - pixels[4 * i + c];
      const unsigned product = ink * white + 128U;
      const unsigned shade = ((product >> 8) + product) >> 8;  // ink * white / 255, rounded
      pixels[3 * i + c] = static_cast<std::uint8_t>(white - shade);
    }
  }
  pixels.resize(pixels.size() / 4 * 3);
}

}  // namespace

// TurboJPEG fills in what a file lacks and
// only warns, with the same status as for harmless oddities; this tells the two apart.
bool jpeg_has_end(std::string_view bytes) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  std::size_t at = 2;  // past the start-of-image marker
  while ((at = bytes.find('\xFF', at)) != std::string_view::npos) {
    while (at < bytes.size() && byte(at) == 0xFF) ++at;  // any number of FF may precede a code
    if (at >= bytes.size()) return false;
    const unsigned code = byte(at++);
    if (code == 0xD9) return true;
    // Without a length: a stuffed FF (00), TEM (01), restarts (D0 to D7), start of image (D8).
    if (code <= 0x01 || (code >= 0xD0 && code <= 0xD8)) continue;
    if (at + 2 > bytes.size()) return false;
    at += std::max<std::size_t>(2, static_cast<std::size_t>(byte(at)) << 8 | byte(at + 1));
  }
  return false;
}

Picture decode_jpeg(const std::string& name, std::string_view bytes, const BeforeDecoding& before) {
  const std::unique_ptr<void, int (*)(tjhandle)> decoder(tjInitDecompress(), &tjDestroy);
  if (!decoder) throw run_error("data", "TurboJPEG cannot start: {}", tjGetErrorStr2(nullptr));
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  int width = 0;
  int height = 0;
  int subsampling = -1;
  int colors = -1;
  const int status = tjDecompressHeader3(decoder.get(), data, bytes.size(), &width, &height,
                                         &subsampling, &colors);
  // The status isn't what counts: it is an error for a chroma subsampling that TurboJPEG has no
  // name for, which it decodes all the same, and success for a file that ends before its image.
  if (width < 1 || height < 1 || colors < 0) {
    const char* found = jpeg_has_end(bytes) ? "it has no image" : "it ends early";
    throw damaged_image(name, "JPEG", status == 0 ? found : tjGetErrorStr2(decoder.get()));
  }
  const bool cmyk = colors == TJCS_CMYK || colors == TJCS_YCCK;
  RgbImage image = blank_image(name, width, height, before, cmyk ? 4 : 3);
  // The default transforms (accurate DCT, smooth upsampling) are those of Pillow. The limit on
  // scans keeps a small progressive file from taking minutes.
  const int decoded = tjDecompress2(decoder.get(), data, bytes.size(), image.pixels.data(), width,
                                    0, height, cmyk ? TJPF_CMYK : TJPF_RGB, TJFLAG_LIMITSCANS);
  if (decoded != 0 && tjGetErrorCode(decoder.get()) != TJERR_WARNING) {
    throw damaged_image(name, "JPEG", tjGetErrorStr2(decoder.get()));
  }
  if (decoded != 0 && !jpeg_has_end(bytes)) throw damaged_image(name, "JPEG", "it ends early");
  if (cmyk) cmyk_to_rgb(image.pixels);
  return {std::move(image), jpeg_orientation(bytes)};
}

std::string encode_jpeg(const RgbImage& image) {
  constexpr int kQuality = 95;
  const std::unique_ptr<void, int (*)(tjhandle)> encoder(tjInitCompress(), &tjDestroy);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  const int status =
      encoder == nullptr
          ? -1
          : tjCompress2(encoder.get(), image.pixels.data(), static_cast<int>(image.width), 0,
                        static_cast<int>(image.height), TJPF_RGB, &bytes, &size, TJSAMP_420,
                        kQuality, TJFLAG_ACCURATEDCT);
  const std::unique_ptr<unsigned char, void (*)(unsigned char*)> owner(bytes, &tjFree);
  if (status != 0) {
    throw run_error("data", "no JPEG of {} x {} px: {}", image.height, image.width,
                    tjGetErrorStr2(encoder.get()));
  }
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace xception
