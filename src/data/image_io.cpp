#include "xception/data/image_io.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

#include "image_formats.h"
#include "room.h"
#include "xception/core/error.h"
#include "xception/core/files.h"

namespace xception {
namespace {

using Path = std::filesystem::path;

constexpr std::string_view kJpegStart = "\xFF\xD8\xFF";
constexpr std::string_view kPngStart = "\x89PNG\r\n\x1A\n";

bool is_webp(std::string_view bytes) {
  return bytes.size() >= 12 && bytes.starts_with("RIFF") && bytes.substr(8).starts_with("WEBP");
}

bool is_text(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) {
    return (c >= ' ' && c != '\x7F') || c == '\n' || c == '\r' || c == '\t';
  });
}

/// What a file that is no image that can be decoded seems to be.
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

class DecodedImage : public OpenImage {
 public:
  explicit DecodedImage(std::shared_ptr<const RgbImage> image) : image_(std::move(image)) {}
  [[nodiscard]] std::int64_t height() const override { return image_->height; }
  [[nodiscard]] std::int64_t width() const override { return image_->width; }
  [[nodiscard]] RgbImage part(std::int64_t top, std::int64_t left, std::int64_t rows,
                              std::int64_t columns) override {
    RgbImage part{rows, columns,
                  std::vector<std::uint8_t>(static_cast<std::size_t>(rows * columns * 3))};
    auto* to = part.pixels.data();
    for (auto y = top; y < top + rows; ++y) {
      to = std::copy_n(image_->pixels.data() + 3 * (y * image_->width + left), 3 * columns, to);
    }
    return part;
  }

 private:
  std::shared_ptr<const RgbImage> image_;
};

constexpr std::array<std::string_view, 6> kExtensions = {".jpg",  ".jpeg", ".jpe",
                                                         ".jfif", ".png",  ".webp"};

}  // namespace

bool has_image_extension(std::string_view name) {
  return std::any_of(kExtensions.begin(), kExtensions.end(), [&](std::string_view extension) {
    return name.size() > extension.size() &&
           std::equal(extension.rbegin(), extension.rend(), name.rbegin(), [](char a, char b) {
             return a == (b >= 'A' && b <= 'Z' ? static_cast<char>(b + 'a' - 'A') : b);
           });
  });
}

std::string image_extensions() {
  const std::span all(kExtensions);
  return fmt::format("{} or {}", fmt::join(all.first(all.size() - 1), ", "), all.back());
}

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
  if (bytes.starts_with(kJpegStart) || is_webp(bytes)) {
    stream.clear();
    read_rest(stream, bytes);
    return is_webp(bytes) ? decode_webp(name, bytes, before) : decode_jpeg(name, bytes, before);
  }
  throw input_error(kRoom,
                    "{}: found {}, expected a JPEG, PNG or WebP image: convert it or remove it",
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

std::unique_ptr<OpenImage> open_image(std::shared_ptr<const RgbImage> image) {
  if (std::ssize(image->pixels) != image->height * image->width * 3) {
    throw run_error(kRoom, "read as {} x {} px with {} bytes", image->height, image->width,
                    image->pixels.size());
  }
  return std::make_unique<DecodedImage>(std::move(image));
}

std::unique_ptr<OpenImage> open_image(std::string bytes, const std::string& name) {
  if (bytes.starts_with(kJpegStart)) {
    if (auto image = open_jpeg(name, bytes)) return image;
  }
  std::istringstream stream(std::move(bytes));
  return open_image(std::make_shared<RgbImage>(read_picture(stream, name).stored));
}

std::unique_ptr<OpenImage> open_image(const Path& file) {
  return open_image(read_file(file, kRoom), file.string());
}

RgbImage read_image(const Path& file) {
  return read_picture(file).stored;
}

void write_png(const Path& file, const RgbImage& image) {
  write_file_atomic(file, encode_png(image));
}

}  // namespace xception
