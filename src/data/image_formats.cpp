#include "image_formats.h"

#include <vector>

namespace xception {

Error damaged_image(const std::string& name, std::string_view format, std::string_view what) {
  return input_error("data", "{}: damaged {} ({}): copy or download the file again", name, format,
                     what);
}

RgbImage blank_image(const std::string& name, std::int64_t width, std::int64_t height,
                     const BeforeDecoding& before, std::int64_t channels) {
  if (width < 1 || height < 1 || width > kMaxImagePixels / height) {
    throw input_error("data",
                      "{}: {} x {} pixels, expected at most {} megapixels: shrink the image", name,
                      width, height, kMaxImagePixels / 1'000'000);
  }
  const auto bytes = height * width * channels;
  if (before) before(bytes);
  return {height, width, std::vector<std::uint8_t>(static_cast<std::size_t>(bytes))};
}

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

}  // namespace xception
