#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tar.h"

namespace xception {

/// One image of a shard: 16 bytes, which is what a data set costs in memory for each.
struct ShardSample {
  std::uint64_t offset = 0;  ///< of the encoded image in the tar file
  std::uint32_t length = 0;
  std::uint32_t label = 0;
};

/// Class numbers from here on are taken for mistakes.
inline constexpr std::uint32_t kMostShardClasses = 1'000'000;

/// Where a shard's images are.
struct ShardIndex {
  std::vector<ShardSample> samples;  ///< in the order of the file
  std::string digest;                ///< SHA-256 of names, lengths and labels, hexadecimal
};

/// Lists a shard of WebDataset's layout (https://github.com/webdataset/webdataset). Members that
/// follow one another and have the same name up to the first dot of its last part are one sample:
/// one image (jpg, jpeg, png or webp) and its class, the number in `cls` or `label` of the object
/// in `json`. Others of a sample are passed over, and so are samples with neither.
/// Errors (input): as TarReader; an image without a class or a class without an image, two of
/// either, a name that comes twice, no image at all.
[[nodiscard]] ShardIndex index_shard(const ByteSource& tar);

/// What a tar file is recognized by, so that an index of it is known to be its own.
struct ShardStamp {
  std::uint64_t size = 0;
  std::int64_t modified = 0;  ///< ns
  bool operator==(const ShardStamp&) const = default;
};

/// An index as the bytes of its file, and back: nothing if they aren't intact, not of this tar
/// file, or point outside of it.
[[nodiscard]] std::string pack_shard_index(const ShardIndex& index, const ShardStamp& stamp);
[[nodiscard]] std::optional<ShardIndex> unpack_shard_index(std::string_view bytes,
                                                           const ShardStamp& stamp);

/// The index of a tar file: FILE.idx, or if there is none that fits, read from the tar file and
/// left there for the next time, where the folder can be written. Errors (input): as index_shard,
/// unreadable.
[[nodiscard]] ShardIndex load_shard_index(const std::filesystem::path& tar);

}  // namespace xception
