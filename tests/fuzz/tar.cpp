// A tar shard and its index of any bytes: an error in one line or images that lie inside.
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "data/shards/shard_index.h"
#include "xception/core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const xception::ByteSource source{.name = "fuzz.tar",
                                    .size = size,
                                    .read = [&](std::uint64_t offset, char* to, std::size_t count) {
                                      if (offset > size || count > size - offset) std::abort();
                                      std::memcpy(to, data + offset, count);
                                    }};
  const xception::ShardStamp stamp{.size = size, .modified = 1};
  try {
    const auto index = xception::index_shard(source);
    for (const auto& sample : index.samples) {
      if (sample.offset > size || sample.length > size - sample.offset) std::abort();
    }
    const auto packed = xception::pack_shard_index(index, stamp);
    const auto again = xception::unpack_shard_index(packed, stamp);
    if (!again || again->samples.size() != index.samples.size()) std::abort();
  } catch (const xception::Error& error) {
    if (std::strchr(error.what(), '\n') != nullptr) std::abort();
  }
  (void)xception::unpack_shard_index(bytes, stamp);
  return 0;
}
