#include <cstddef>
#include <cstdio>
// libjpeg's header needs those two.
#include <jpeglib.h>

#include <algorithm>
#include <csetjmp>
#include <memory>
#include <utility>
#include <vector>

#include "image_formats.h"

namespace xception {
namespace {

/// libjpeg's decoder. It reports errors by longjmp, which runs no destructors; so every function
/// here that calls it holds none.
class Decoder {
 public:
  explicit Decoder(std::string_view bytes) : bytes_(bytes) {
    info_.err = jpeg_std_error(&errors_);
    info_.client_data = this;
    errors_.error_exit = [](j_common_ptr info) {
      std::longjmp(static_cast<Decoder*>(info->client_data)->jump_, 1);
    };
    errors_.emit_message = [](j_common_ptr, int) {};  // harmless, as Pillow takes them
  }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() {
    if (made_) jpeg_destroy_decompress(&info_);
  }

  /// False: this image is decoded as a whole.
  bool read_header() {
    if (setjmp(jump_) != 0) return false;
    jpeg_create_decompress(&info_);
    made_ = true;
    jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(bytes_.data()), bytes_.size());
    if (jpeg_read_header(&info_, TRUE) != JPEG_HEADER_OK) return false;
    return is_plain();
  }

  /// Decodes a part to `to`; `line`: a row of the image. False: damaged.
  bool read_part(JDIMENSION top, JDIMENSION left, JDIMENSION rows, JDIMENSION columns,
                 std::uint8_t* to, std::uint8_t* line) {
    if (setjmp(jump_) != 0) return false;
    info_.out_color_space = JCS_RGB;
    jpeg_start_decompress(&info_);
    // Upsampling blends each pixel with its neighbors, so the part begins and ends a unit outside:
    // what is near its border comes from elsewhere and isn't taken.
    const auto unit_width = static_cast<JDIMENSION>(8 * info_.max_h_samp_factor);
    const auto unit_height = static_cast<JDIMENSION>(8 * info_.max_v_samp_factor);
    JDIMENSION x = left > unit_width ? left - unit_width : 0;
    JDIMENSION width = std::min(left + columns + unit_width, info_.output_width) - x;
    if (width < info_.output_width) jpeg_crop_scanline(&info_, &x, &width);
    const auto units = top / unit_height;
    if (units > 1) (void)jpeg_skip_scanlines(&info_, (units - 1) * unit_height);
    const std::size_t bytes = 3 * std::size_t{columns};
    while (info_.output_scanline < top + rows) {
      const auto y = info_.output_scanline;
      (void)jpeg_read_scanlines(&info_, &line, 1);
      if (y >= top) std::copy_n(line + 3 * (left - x), bytes, to + (y - top) * bytes);
    }
    return true;
  }

  [[nodiscard]] std::int64_t height() const { return info_.image_height; }
  [[nodiscard]] std::int64_t width() const { return info_.image_width; }

 private:
  /// Whether one pass over the file gives row after row, in one of the usual samplings.
  [[nodiscard]] bool is_plain() const {
    if (info_.progressive_mode != 0 || info_.arith_code != 0 || info_.data_precision != 8) {
      return false;
    }
    if (info_.comps_in_scan != info_.num_components) return false;
    const auto* of = info_.comp_info;
    if (info_.jpeg_color_space == JCS_GRAYSCALE) return info_.num_components == 1;
    if (info_.jpeg_color_space != JCS_YCbCr || info_.num_components != 3) return false;
    const bool luma = of[0].v_samp_factor == 1
                          ? of[0].h_samp_factor <= 2
                          : of[0].v_samp_factor == 2 && of[0].h_samp_factor == 2;
    return luma && std::all_of(of + 1, of + 3, [](const auto& chroma) {
             return chroma.h_samp_factor == 1 && chroma.v_samp_factor == 1;
           });
  }

  std::string_view bytes_;
  jpeg_decompress_struct info_{};
  jpeg_error_mgr errors_{};
  std::jmp_buf jump_{};
  bool made_ = false;
};

class JpegImage : public OpenImage {
 public:
  JpegImage(std::string name, std::string bytes)
      : name_(std::move(name)), bytes_(std::move(bytes)), decoder_(bytes_) {}

  bool begin() { return decoder_.read_header(); }
  std::string take_bytes() { return std::move(bytes_); }

  [[nodiscard]] std::int64_t height() const override { return decoder_.height(); }
  [[nodiscard]] std::int64_t width() const override { return decoder_.width(); }

  [[nodiscard]] RgbImage part(std::int64_t top, std::int64_t left, std::int64_t rows,
                              std::int64_t columns) override {
    if (!std::exchange(used_, true)) {
      RgbImage part = blank_image(name_, columns, rows, {});
      std::vector<std::uint8_t> line(static_cast<std::size_t>(3 * (width() + 32)));
      const auto number = [](std::int64_t value) { return static_cast<JDIMENSION>(value); };
      if (decoder_.read_part(number(top), number(left), number(rows), number(columns),
                             part.pixels.data(), line.data())) {
        return part;
      }
    }
    auto whole = decode_jpeg(name_, bytes_, {}).stored;  // or says what is damaged
    if (rows == whole.height && columns == whole.width) return whole;
    return open_image(std::make_shared<RgbImage>(std::move(whole)))->part(top, left, rows, columns);
  }

 private:
  std::string name_, bytes_;
  Decoder decoder_;
  bool used_ = false;
};

}  // namespace

std::unique_ptr<OpenImage> open_jpeg(const std::string& name, std::string& bytes) {
  if (!jpeg_has_end(bytes)) return nullptr;
  auto image = std::make_unique<JpegImage>(name, std::move(bytes));
  const bool plain = image->begin();
  if (plain && image->width() <= kMaxImagePixels / std::max<std::int64_t>(image->height(), 1)) {
    return image;
  }
  bytes = image->take_bytes();
  return nullptr;
}

}  // namespace xception
