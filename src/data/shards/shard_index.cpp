#include "shard_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <set>
#include <type_traits>

#include "../room.h"
#include "shard_file.h"
#include "xception/core/error.h"
#include "xception/core/files.h"
#include "xception/core/json.h"

namespace xception {
namespace {

constexpr std::uint64_t kMostImageBytes = 1U << 30;
constexpr std::uint64_t kMostClassBytes = 64;
constexpr std::uint64_t kMostJsonBytes = 1 << 20;

/// `a/b.seg.png` -> `a/b` and `seg.png`; no extension: not part of a sample.
struct SampleName {
  std::string key;
  std::string extension;
};

SampleName split_name_at_dot(const std::string& name) {
  const auto slash = name.rfind('/');
  const auto start = slash == std::string::npos ? 0 : slash + 1;
  const auto dot = name.find('.', start);
  if (dot == std::string::npos || dot == start) return {};
  SampleName parts{name.substr(0, dot), name.substr(dot + 1)};
  for (auto& c : parts.extension) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return parts;
}

bool is_image(const std::string& extension) {
  constexpr std::array<std::string_view, 4> kImages = {"jpg", "jpeg", "png", "webp"};
  return std::find(kImages.begin(), kImages.end(), extension) != kImages.end();
}

std::optional<std::uint32_t> parse_class(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const auto first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return std::nullopt;
  text = text.substr(first, text.find_last_not_of(kBlank) - first + 1);
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value >= kMostShardClasses) {
    return std::nullopt;
  }
  return value;
}

std::optional<std::uint32_t> json_class(std::string_view text) {
  const auto json = json_or_discarded(text);
  if (!json.is_object() || !json.contains("label")) return std::nullopt;
  return parse_class(json["label"].dump());
}

/// Gathers the samples of a shard, member by member.
class SampleList {
 public:
  explicit SampleList(TarReader& tar, const std::string& shard) : tar_(tar), shard_(shard) {}

  void add(const TarMember& member) {
    const auto name = split_name_at_dot(member.name);
    if (name.extension.empty()) return;
    if (name.key != key_) {
      finish();
      key_ = name.key;
      if (!keys_.insert(key_).second) fail("comes twice");
    }
    if (is_image(name.extension)) {
      if (image_) fail("has two images");
      if (member.size < 1 || member.size >= kMostImageBytes) {
        fail(fmt::format("has an image of {} bytes", member.size));
      }
      image_ = member;
      extension_ = name.extension;
    } else if (name.extension == "cls") {
      if (class_) fail("has two classes");
      const auto text = tar_.content(member, kMostClassBytes);
      class_ = parse_class(text);
      if (!class_) fail(fmt::format("has a cls that is no number below {}", kMostShardClasses));
    } else if (name.extension == "json" && member.size <= kMostJsonBytes) {
      json_class_ = json_class(tar_.content(member, kMostJsonBytes));
    }
  }

  ShardIndex take() {
    finish();
    if (index_.samples.empty()) {
      throw input_error(kRoom,
                        "{}: no sample with an image (jpg, jpeg, png, webp) and a class (cls, "
                        "json): expected a shard as WebDataset writes it",
                        shard_);
    }
    index_.digest = sha256(lines_);
    return std::move(index_);
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    throw input_error(kRoom, "{}: sample {} {}: expected one image and one class for each", shard_,
                      printable(key_), what);
  }

  /// A key as one line of a message.
  static std::string printable(std::string key) {
    for (auto& c : key) c = static_cast<unsigned char>(c) < ' ' || c == '\x7F' ? '?' : c;
    return key.size() > 200 ? key.substr(0, 200) + "..." : key;
  }

  void finish() {
    if (image_) {
      const auto label = class_ ? class_ : json_class_;
      if (!label) fail("has no class (a member cls, or json with a number as label)");
      index_.samples.push_back({image_->offset, static_cast<std::uint32_t>(image_->size), *label});
      lines_ += fmt::format("{}.{} {} {}\n", key_, extension_, image_->size, *label);
    } else if (class_) {
      fail("has no image");
    }
    image_.reset();
    class_.reset();
    json_class_.reset();
  }

  TarReader& tar_;
  const std::string& shard_;
  ShardIndex index_;
  std::string lines_;
  std::set<std::string> keys_;
  std::string key_;
  std::string extension_;
  std::optional<TarMember> image_;
  std::optional<std::uint32_t> class_;
  std::optional<std::uint32_t> json_class_;
};

// ---- The index's file --------------------------------------------------------------------------

constexpr std::string_view kMagic = "XCPTIDX1";

struct FileHeader {
  std::array<char, 8> magic;
  std::uint64_t tar_size;
  std::int64_t modified;
  std::uint64_t count;
  std::array<char, 64> digest;
};
constexpr std::size_t kSum = 64;  // hexadecimal digits at the end
static_assert(sizeof(FileHeader) == 96 && sizeof(ShardSample) == 16);
static_assert(std::is_trivially_copyable_v<ShardSample>);

}  // namespace

ShardIndex index_shard(const ByteSource& source) {
  TarReader tar(source);
  SampleList list(tar, source.name);
  TarMember member;
  while (tar.next(member)) list.add(member);
  return list.take();
}

std::string pack_shard_index(const ShardIndex& index, const ShardStamp& stamp) {
  FileHeader header{.magic = {},
                    .tar_size = stamp.size,
                    .modified = stamp.modified,
                    .count = index.samples.size(),
                    .digest = {}};
  kMagic.copy(header.magic.data(), header.magic.size());
  index.digest.copy(header.digest.data(), header.digest.size());
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
  bytes.append(reinterpret_cast<const char*>(index.samples.data()),
               index.samples.size() * sizeof(ShardSample));
  return bytes + sha256(bytes);
}

std::optional<ShardIndex> unpack_shard_index(std::string_view bytes, const ShardStamp& stamp) {
  FileHeader header;
  if (bytes.size() < sizeof header + kSum) return std::nullopt;
  std::memcpy(&header, bytes.data(), sizeof header);
  const auto samples = bytes.size() - sizeof header - kSum;
  const bool fits = std::string_view(header.magic.data(), header.magic.size()) == kMagic &&
                    ShardStamp{header.tar_size, header.modified} == stamp &&
                    samples % sizeof(ShardSample) == 0 &&
                    header.count == samples / sizeof(ShardSample) && header.count > 0;
  if (!fits || bytes.substr(bytes.size() - kSum) != sha256(bytes.substr(0, bytes.size() - kSum))) {
    return std::nullopt;
  }
  ShardIndex index;
  index.digest.assign(header.digest.data(), header.digest.size());
  index.samples.resize(static_cast<std::size_t>(header.count));
  std::memcpy(index.samples.data(), bytes.data() + sizeof header, samples);
  for (const auto& sample : index.samples) {
    const bool inside = sample.offset < stamp.size && sample.length > 0 &&
                        sample.length <= stamp.size - sample.offset &&
                        sample.length < kMostImageBytes && sample.label < kMostShardClasses;
    if (!inside) return std::nullopt;
  }
  return index;
}

ShardIndex load_shard_index(const std::filesystem::path& tar) {
  const ShardFile file(tar);
  const auto stamp = file.stamp();
  auto index_file = tar;
  index_file += ".idx";
  std::error_code error;
  const auto bytes = std::filesystem::file_size(index_file, error);
  // A sample takes two blocks of the tar file or more, and 16 bytes here.
  if (!error && bytes <= sizeof(FileHeader) + kSum + stamp.size / 64) {
    try {
      if (auto index = unpack_shard_index(read_file(index_file, kRoom), stamp)) return *index;
    } catch (const Error&) {  // unreadable: as if there were none
    }
  }
  auto index = index_shard(file.source());
  if (ShardFile(tar).stamp() == stamp) {
    try {
      write_file_atomic(index_file, pack_shard_index(index, stamp));
    } catch (const Error&) {  // not ours to write: it is read again the next time
    }
  }
  return index;
}

}  // namespace xception
