#include "xception/data/image_io.h"

#include <fmt/format.h>
#include <png.h>
#include <turbojpeg.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "xception/core/error.h"
#include "xception/core/files.h"

namespace xception {
namespace {

constexpr std::string_view kRoom = "data";

using Path = std::filesystem::path;

Error damaged(const Path& file, std::string_view format, std::string_view what) {
  return input_error(kRoom, "{}: damaged {} ({}): copy or download the file again", file.string(),
                     format, what);
}

/// An image of the size that a header claims, once that is known to be sane.
RgbImage blank_image(const Path& file, std::int64_t width, std::int64_t height) {
  if (width < 1 || height < 1 || width > kMaxImagePixels / height) {
    throw input_error(kRoom, "{}: {} x {} pixels, expected at most {} megapixels: shrink the image",
                      file.string(), width, height, kMaxImagePixels / 1'000'000);
  }
  return {height, width, std::vector<std::uint8_t>(static_cast<std::size_t>(height * width * 3))};
}

// ---- JPEG -----------------------------------------------------------------------------------

/// Whether the markers lead to an end-of-image marker. TurboJPEG fills in what a file lacks and
/// only warns, with the same status as for harmless oddities; this tells the two apart.
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

RgbImage decode_jpeg(const Path& file, std::string_view bytes) {
  const std::unique_ptr<void, int (*)(tjhandle)> decoder(tjInitDecompress(), &tjDestroy);
  if (!decoder) throw run_error(kRoom, "TurboJPEG cannot start: {}", tjGetErrorStr2(nullptr));
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  int width = 0;
  int height = 0;
  int subsampling = -1;
  int colours = -1;
  const int status = tjDecompressHeader3(decoder.get(), data, bytes.size(), &width, &height,
                                         &subsampling, &colours);
  // The status isn't what counts: it is an error for a chroma subsampling that TurboJPEG has no
  // name for, which it decodes all the same, and success for a file that ends before its image.
  if (width < 1 || height < 1 || colours < 0) {
    const char* found = jpeg_has_end(bytes) ? "it has no image" : "it ends early";
    throw damaged(file, "JPEG", status == 0 ? found : tjGetErrorStr2(decoder.get()));
  }
  const bool cmyk = colours == TJCS_CMYK || colours == TJCS_YCCK;
  RgbImage image = blank_image(file, width, height);
  if (cmyk) image.pixels.resize(image.pixels.size() / 3 * 4);
  // The default transforms (accurate DCT, smooth upsampling) are those of Pillow. The limit on
  // scans keeps a small progressive file from taking minutes.
  const int decoded = tjDecompress2(decoder.get(), data, bytes.size(), image.pixels.data(), width,
                                    0, height, cmyk ? TJPF_CMYK : TJPF_RGB, TJFLAG_LIMITSCANS);
  if (decoded != 0 && tjGetErrorCode(decoder.get()) != TJERR_WARNING) {
    throw damaged(file, "JPEG", tjGetErrorStr2(decoder.get()));
  }
  if (decoded != 0 && !jpeg_has_end(bytes)) throw damaged(file, "JPEG", "it ends early");
  if (cmyk) cmyk_to_rgb(image.pixels);
  return image;
}

// ---- PNG ------------------------------------------------------------------------------------

/// Reads PNG from memory. libpng reports errors by longjmp, which runs no destructors; so every
/// function here that calls libpng holds none: what they need to keep is a member.
class PngReader {
 public:
  explicit PngReader(std::string_view bytes) : rest_(bytes) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, &on_error, &on_warning);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      throw run_error(kRoom, "libpng cannot start: out of memory");
    }
  }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }

  /// Reads up to the pixels. False: damaged, see message().
  bool read_header() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_read_fn(png_, this, &on_read);
    png_read_info(png_, info_);
    width_ = png_get_image_width(png_, info_);
    height_ = png_get_image_height(png_, info_);
    return true;
  }

  /// Reads the pixels, as 8-bit RGB, to `pixels` and then to the file's end. False: damaged.
  bool read_pixels(std::uint8_t* pixels) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    // libpng's simplified interface would be shorter, but blends alpha and corrects gamma.
    png_set_palette_to_rgb(png_);
    png_set_expand_gray_1_2_4_to_8(png_);
    png_set_strip_16(png_);
    png_set_strip_alpha(png_);
    png_set_gray_to_rgb(png_);
    const int passes = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    const std::size_t stride = 3 * static_cast<std::size_t>(width_);
    if (png_get_rowbytes(png_, info_) != stride) png_error(png_, "unexpected row size");
    for (int pass = 0; pass < passes; ++pass) {
      for (png_uint_32 y = 0; y < height_; ++y) {
        png_read_row(png_, pixels + y * stride, nullptr);
      }
    }
    png_read_end(png_, nullptr);
    return true;
  }

  [[nodiscard]] std::int64_t width() const { return width_; }
  [[nodiscard]] std::int64_t height() const { return height_; }
  [[nodiscard]] const char* message() const { return message_.data(); }

 private:
  [[noreturn]] static void on_error(png_structp png, png_const_charp message) {
    auto* self = static_cast<PngReader*>(png_get_error_ptr(png));
    std::strncpy(self->message_.data(), message, self->message_.size() - 1);
    png_longjmp(png, 1);
  }

  static void on_warning(png_structp, png_const_charp) {}  // harmless by libpng's own judgement

  static void on_read(png_structp png, png_bytep to, std::size_t count) {
    auto* self = static_cast<PngReader*>(png_get_io_ptr(png));
    if (count > self->rest_.size()) png_error(png, "it ends early");
    std::memcpy(to, self->rest_.data(), count);
    self->rest_.remove_prefix(count);
  }

  std::string_view rest_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  png_uint_32 width_ = 0;
  png_uint_32 height_ = 0;
  std::array<char, 128> message_{};
};

RgbImage decode_png(const Path& file, std::string_view bytes) {
  PngReader reader(bytes);
  if (!reader.read_header()) throw damaged(file, "PNG", reader.message());
  RgbImage image = blank_image(file, reader.width(), reader.height());
  if (!reader.read_pixels(image.pixels.data())) throw damaged(file, "PNG", reader.message());
  return image;
}

// ---- Telling formats apart ------------------------------------------------------------------

constexpr std::string_view kJpegStart = "\xFF\xD8\xFF";
constexpr std::string_view kPngStart = "\x89PNG\r\n\x1A\n";

bool is_text(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) {
    return (c >= ' ' && c != '\x7F') || c == '\n' || c == '\r' || c == '\t';
  });
}

/// What a file that is neither JPEG nor PNG seems to be.
std::string describe(std::string_view bytes) {
  constexpr std::array<std::pair<std::string_view, const char*>, 10> kStarts{{
      {"GIF8", "a GIF image"},
      {"BM", "a BMP image"},
      {"II*", "a TIFF image"},
      {"MM", "a TIFF image"},
      {"<!DOCTYPE", "a web page"},
      {"<html", "a web page"},
      {"\x1F\x8B", "a gzip archive"},
      {"PK\x03\x04", "a zip archive"},
      {"version https://git-lfs", "a Git LFS pointer"},
      {"%PDF", "a PDF document"},
  }};
  if (bytes.empty()) return "an empty file";
  if (bytes.starts_with("RIFF") && bytes.substr(8).starts_with("WEBP")) return "a WebP image";
  if (bytes.size() > 8 && bytes.substr(4).starts_with("ftyp")) return "an AVIF, HEIC or MP4 file";
  for (const auto& [start, what] : kStarts) {
    if (bytes.starts_with(start)) return what;
  }
  if (kPngStart.starts_with(bytes) || kJpegStart.starts_with(bytes)) return "a file cut short";
  if (is_text(bytes.substr(0, 256))) return "text";
  std::string found = "bytes";
  for (const char c : bytes.substr(0, 8)) {
    found += fmt::format(" {:02X}", static_cast<unsigned char>(c));
  }
  return found;
}

}  // namespace

RgbImage read_image(const Path& file) {
  const std::string bytes = read_file(file, kRoom);
  if (bytes.starts_with(kJpegStart)) return decode_jpeg(file, bytes);
  if (bytes.starts_with(kPngStart)) return decode_png(file, bytes);
  throw input_error(kRoom, "{}: found {}, expected a JPEG or PNG image: convert it or remove it",
                    file.string(), describe(bytes));
}

std::string encode_png(const RgbImage& image) {
  if (image.width < 1 || image.height < 1 || image.width > kMaxImagePixels / image.height ||
      std::ssize(image.pixels) != image.height * image.width * 3) {
    throw run_error(kRoom, "PNG: {} bytes of pixels for {} x {} RGB pixels", image.pixels.size(),
                    image.width, image.height);
  }
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.format = PNG_FORMAT_RGB;
  png.width = static_cast<png_uint_32>(image.width);
  png.height = static_cast<png_uint_32>(image.height);
  std::string bytes(PNG_IMAGE_PNG_SIZE_MAX(png), '\0');
  png_alloc_size_t size = bytes.size();
  if (png_image_write_to_memory(&png, bytes.data(), &size, 0, image.pixels.data(), 0, nullptr) ==
      0) {
    throw run_error(kRoom, "PNG: cannot be encoded: {}", png.message);
  }
  bytes.resize(size);
  return bytes;
}

void write_png(const Path& file, const RgbImage& image) {
  write_file_atomic(file, encode_png(image));
}

}  // namespace xception
