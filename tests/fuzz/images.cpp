// Decodes hostile bytes as an image (JPEG, PNG, WebP): whole, upright and in parts, which must
// equal the whole. libFuzzer with AddressSanitizer and UndefinedBehaviorSanitizer.
#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <string>
#include <string_view>

#include "xception/core/error.h"
#include "xception/data/image_io.h"

namespace {

constexpr std::int64_t kBytes = 64 << 20;  // of pixels: larger ones would only take time

void decode(const std::string& bytes) {
  using namespace xception;
  const auto before = [](std::int64_t size) {
    if (size > kBytes) throw run_error("fuzz", "too large");
  };
  std::istringstream stream(bytes);
  const auto whole = upright(read_picture(stream, "input", before));
  if (whole.pixels.size() != static_cast<std::size_t>(whole.height * whole.width * 3)) std::abort();
  std::istringstream again(bytes);
  const auto stored = read_picture(again, "input", before).stored;
  const auto image = open_image(bytes, "input");
  if (image->height() != stored.height || image->width() != stored.width) std::abort();
  const auto top = stored.height / 3;
  const auto left = stored.width / 3;
  const auto rows = std::max<std::int64_t>(stored.height / 2 - top, 1);
  const auto columns = std::max<std::int64_t>(stored.width / 2 - left, 1);
  const auto part = image->part(top, left, rows, columns);
  if (part.pixels.size() != static_cast<std::size_t>(rows * columns * 3)) std::abort();
  for (std::int64_t y = 0; y < rows; ++y) {
    const auto* from = stored.pixels.data() + 3 * ((top + y) * stored.width + left);
    if (!std::equal(from, from + 3 * columns, part.pixels.data() + 3 * y * columns)) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    decode({reinterpret_cast<const char*>(data), size});
  } catch (const xception::Error& error) {
    if (std::string_view(error.what()).find('\n') != std::string_view::npos) std::abort();
  }
  return 0;
}
