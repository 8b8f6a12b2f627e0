#include <png.h>

#include <array>
#include <csetjmp>
#include <cstring>
#include <utility>
#include <vector>

#include "image_formats.h"

namespace xception {
namespace {

/// Reads PNG from a stream whose first bytes were taken already. libpng reports errors by longjmp,
/// which runs no destructors; so every function here that calls libpng holds none: what they need
/// to keep is a member.
class PngReader {
 public:
  PngReader(std::string_view start, std::istream& rest) : start_(start), rest_(rest) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, &on_error, &on_warning);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      throw run_error("data", "libpng cannot start: out of memory");
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
    png_read_end(png_, info_);
    return true;
  }

  /// Once the file has been read to its end: the block may come after the pixels.
  [[nodiscard]] int orientation() const {
    png_bytep block = nullptr;
    png_uint_32 size = 0;
    if (png_get_eXIf_1(png_, info_, &size, &block) == 0 || block == nullptr) return 1;
    return exif_orientation({reinterpret_cast<const char*>(block), size});
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

  static void on_warning(png_structp, png_const_charp) {}  // harmless by libpng's own judgment

  static void on_read(png_structp png, png_bytep to, std::size_t count) {
    auto* self = static_cast<PngReader*>(png_get_io_ptr(png));
    const auto from_start = std::min(count, self->start_.size());
    std::memcpy(to, self->start_.data(), from_start);
    self->start_.remove_prefix(from_start);
    if (!read_exactly(self->rest_, to + from_start, count - from_start)) {
      png_error(png, "it ends early");
    }
  }

  /// Whether there were as many bytes.
  static bool read_exactly(std::istream& stream, png_bytep to, std::size_t count) {
    stream.read(reinterpret_cast<char*>(to), static_cast<std::streamsize>(count));
    return static_cast<std::size_t>(stream.gcount()) == count;
  }

  std::string_view start_;
  std::istream& rest_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  png_uint_32 width_ = 0;
  png_uint_32 height_ = 0;
  std::array<char, 128> message_{};
};

}  // namespace

Picture decode_png(const std::string& name, std::string_view start, std::istream& rest,
                   const BeforeDecoding& before) {
  PngReader reader(start, rest);
  if (!reader.read_header()) throw damaged_image(name, "PNG", reader.message());
  RgbImage image = blank_image(name, reader.width(), reader.height(), before);
  if (!reader.read_pixels(image.pixels.data())) throw damaged_image(name, "PNG", reader.message());
  return {std::move(image), reader.orientation()};
}

std::string encode_png(const RgbImage& image) {
  if (image.width < 1 || image.height < 1 || image.width > kMaxImagePixels / image.height ||
      std::ssize(image.pixels) != image.height * image.width * 3) {
    throw run_error("data", "PNG: {} bytes of pixels for {} x {} RGB pixels", image.pixels.size(),
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
    throw run_error("data", "PNG: cannot be encoded: {}", png.message);
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace xception
