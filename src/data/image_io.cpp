#include "xception/data/image_io.h"

#include <fmt/format.h>
#include <png.h>
#include <turbojpeg.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstring>
#include <fstream>
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

Error damaged(const std::string& name, std::string_view format, std::string_view what) {
  return input_error(kRoom, "{}: damaged {} ({}): copy or download the file again", name, format,
                     what);
}

/// An image of the size that a header claims, once that is known to be sane.
RgbImage blank_image(const std::string& name, std::int64_t width, std::int64_t height,
                     const BeforeDecoding& before, std::int64_t channels = 3) {
  if (width < 1 || height < 1 || width > kMaxImagePixels / height) {
    throw input_error(kRoom, "{}: {} x {} pixels, expected at most {} megapixels: shrink the image",
                      name, width, height, kMaxImagePixels / 1'000'000);
  }
  const auto bytes = height * width * channels;
  if (before) before(bytes);
  return {height, width, std::vector<std::uint8_t>(static_cast<std::size_t>(bytes))};
}

// ---- EXIF -----------------------------------------------------------------------------------

/// The orientation that a TIFF block (EXIF without its `Exif\0\0`) states; 1 where it states none,
/// or is damaged.
int exif_orientation(std::string_view block) {
  constexpr std::uint32_t kOrientation = 0x0112;
  const bool little = block.starts_with(std::string_view("II*\0", 4));
  if (!little && !block.starts_with(std::string_view("MM\0*", 4))) return 1;
  // The number in `length` bytes from `at` on; 0, which stands for nothing here, outside the block.
  const auto number = [&](std::uint64_t at, unsigned length) {
    std::uint32_t value = 0;
    if (at + length > block.size()) return value;
    for (unsigned i = 0; i < length; ++i) {
      const auto byte = static_cast<unsigned char>(block[at + (little ? length - 1 - i : i)]);
      value = value << 8 | byte;
    }
    return value;
  };
  const std::uint64_t directory = number(4, 4);
  const auto entries = number(directory, 2);
  for (std::uint64_t i = 0; i < entries; ++i) {
    const auto entry = directory + 2 + 12 * i;
    if (number(entry, 2) != kOrientation) continue;
    const auto type = number(entry + 2, 2);
    const unsigned length = type == 1 ? 1 : type == 3 ? 2 : type == 4 ? 4 : 0;  // of whole numbers
    if (length == 0 || number(entry + 4, 4) != 1) return 1;
    const auto value = number(entry + 8, length);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
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

Picture decode_jpeg(const std::string& name, std::string_view bytes, const BeforeDecoding& before) {
  const std::unique_ptr<void, int (*)(tjhandle)> decoder(tjInitDecompress(), &tjDestroy);
  if (!decoder) throw run_error(kRoom, "TurboJPEG cannot start: {}", tjGetErrorStr2(nullptr));
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
    throw damaged(name, "JPEG", status == 0 ? found : tjGetErrorStr2(decoder.get()));
  }
  const bool cmyk = colors == TJCS_CMYK || colors == TJCS_YCCK;
  RgbImage image = blank_image(name, width, height, before, cmyk ? 4 : 3);
  // The default transforms (accurate DCT, smooth upsampling) are those of Pillow. The limit on
  // scans keeps a small progressive file from taking minutes.
  const int decoded = tjDecompress2(decoder.get(), data, bytes.size(), image.pixels.data(), width,
                                    0, height, cmyk ? TJPF_CMYK : TJPF_RGB, TJFLAG_LIMITSCANS);
  if (decoded != 0 && tjGetErrorCode(decoder.get()) != TJERR_WARNING) {
    throw damaged(name, "JPEG", tjGetErrorStr2(decoder.get()));
  }
  if (decoded != 0 && !jpeg_has_end(bytes)) throw damaged(name, "JPEG", "it ends early");
  if (cmyk) cmyk_to_rgb(image.pixels);
  return {std::move(image), jpeg_orientation(bytes)};
}

// ---- PNG ------------------------------------------------------------------------------------

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

Picture decode_png(const std::string& name, std::string_view start, std::istream& rest,
                   const BeforeDecoding& before) {
  PngReader reader(start, rest);
  if (!reader.read_header()) throw damaged(name, "PNG", reader.message());
  RgbImage image = blank_image(name, reader.width(), reader.height(), before);
  if (!reader.read_pixels(image.pixels.data())) throw damaged(name, "PNG", reader.message());
  return {std::move(image), reader.orientation()};
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

/// Appends the rest of a stream, whose size, where it can be known, is set aside at once.
void read_rest(std::istream& stream, std::string& bytes) {
  const auto here = stream.tellg();
  if (here >= 0 && stream.seekg(0, std::ios::end)) {
    bytes.reserve(bytes.size() + static_cast<std::size_t>(stream.tellg() - here));
    stream.seekg(here);
  }
  stream.clear();
  std::array<char, 1 << 16> buffer{};
  while (stream.read(buffer.data(), buffer.size()) || stream.gcount() > 0) {
    bytes.append(buffer.data(), static_cast<std::size_t>(stream.gcount()));
  }
}

/// How a stored pixel is found from its place in the upright picture: first + y * down + x * right,
/// in pixels.
struct Steps {
  std::int64_t first, down, right;
};

Steps steps_of(const Picture& picture) {
  const auto width = picture.stored.width;
  const auto last_row = (picture.stored.height - 1) * width;
  const auto last_column = width - 1;
  switch (picture.orientation) {
    case 2:
      return {last_column, width, -1};
    case 3:
      return {last_row + last_column, -width, -1};
    case 4:
      return {last_row, -width, 1};
    case 5:
      return {0, 1, width};
    case 6:
      return {last_row, 1, -width};
    case 7:
      return {last_row + last_column, -1, -width};
    case 8:
      return {last_column, -1, width};
    default:
      return {0, width, 1};
  }
}

}  // namespace

std::int64_t Picture::height() const {
  return orientation > 4 ? stored.width : stored.height;
}

std::int64_t Picture::width() const {
  return orientation > 4 ? stored.height : stored.width;
}

void Picture::copy(std::int64_t top, std::int64_t left, std::int64_t rows, std::int64_t columns,
                   std::uint8_t* to) const {
  const auto steps = steps_of(*this);
  for (std::int64_t y = top; y < top + rows; ++y) {
    const auto row = steps.first + y * steps.down + left * steps.right;
    const auto* from = stored.pixels.data() + 3 * row;
    if (steps.right == 1) {
      to = std::copy_n(from, 3 * columns, to);
      continue;
    }
    for (std::int64_t x = 0; x < columns; ++x) to = std::copy_n(from + 3 * x * steps.right, 3, to);
  }
}

Picture read_picture(std::istream& stream, const std::string& name, const BeforeDecoding& before) {
  std::string bytes(256, '\0');
  stream.read(bytes.data(), std::ssize(bytes));
  bytes.resize(static_cast<std::size_t>(stream.gcount()));
  if (bytes.starts_with(kPngStart)) return decode_png(name, bytes, stream, before);
  if (bytes.starts_with(kJpegStart)) {
    stream.clear();
    read_rest(stream, bytes);
    return decode_jpeg(name, bytes, before);
  }
  throw input_error(kRoom, "{}: found {}, expected a JPEG or PNG image: convert it or remove it",
                    name, describe(bytes));
}

Picture read_picture(const Path& file, const BeforeDecoding& before) {
  std::ifstream stream(file, std::ios::binary);
  // A file without a first byte is empty, or read_file says what it is. A pipe is read once.
  std::error_code error;
  if (stream.peek() == std::ifstream::traits_type::eof() &&
      !std::filesystem::is_fifo(file, error)) {
    (void)read_file(file, kRoom);
  }
  return read_picture(stream, file.string(), before);
}

RgbImage upright(Picture picture) {
  if (picture.orientation == 1) return std::move(picture.stored);
  RgbImage image{picture.height(), picture.width(),
                 std::vector<std::uint8_t>(picture.stored.pixels.size())};
  picture.copy(0, 0, image.height, image.width, image.pixels.data());
  return image;
}

RgbImage read_image(const Path& file) {
  return read_picture(file).stored;
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
