// A config of any text: an error in one line, or values that JSON can say again.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "xception/core/error.h"
#include "xception/core/json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const auto json = xception::parse_json(text, "config", "fuzz.json");
    if (xception::json_or_discarded(json.dump()) != json) std::abort();
  } catch (const xception::Error& error) {
    if (std::strchr(error.what(), '\n') != nullptr) std::abort();
  }
  return 0;
}
