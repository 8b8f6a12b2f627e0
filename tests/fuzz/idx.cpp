// An IDX file of any bytes, plain or gzip: an error, or as many values as its header states.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "data/idx.h"
#include "xception/core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const std::size_t dimensions : {1U, 3U}) {
    try {
      const auto array = xception::parse_idx(bytes, dimensions, "fuzz");
      std::int64_t values = 1;
      for (const auto side : array.sizes) values *= side;
      if (values != std::ssize(array.values)) std::abort();
    } catch (const xception::Error&) {
    }
  }
  return 0;
}
