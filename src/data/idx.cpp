#include "idx.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>

#include "gzip.h"
#include "room.h"
#include "xception/core/error.h"
#include "xception/core/files.h"

namespace xception {
namespace {

namespace fs = std::filesystem;

constexpr std::uint8_t kByteType = 0x08;
constexpr std::uint64_t kMostImages = 100'000'000;
constexpr std::uint64_t kLongestSide = 16'384;
/// Deflate's codes can't say more bytes of a file than this (zlib's "technical details").
constexpr std::uint64_t kMostInflation = 1032;

std::uint64_t big_endian(std::string_view bytes, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<std::uint8_t>(bytes[at + i]);
  return value;
}

/// The sizes that a header states, none of them absurd.
std::vector<std::int64_t> header_sizes(std::string_view header, std::size_t dimensions,
                                       const std::string& name) {
  if (header.size() < 4 || header[0] != 0 || header[1] != 0) {
    throw input_error(kRoom, "{}: doesn't begin as an IDX file: copy or download it again", name);
  }
  if (static_cast<std::uint8_t>(header[2]) != kByteType ||
      static_cast<std::uint8_t>(header[3]) != dimensions) {
    throw input_error(kRoom, "{}: IDX type 0x{:02x} of {} dimensions, expected bytes (0x08) of {}",
                      name, static_cast<std::uint8_t>(header[2]),
                      static_cast<std::uint8_t>(header[3]), dimensions);
  }
  if (header.size() < 4 + 4 * dimensions) {
    throw input_error(kRoom, "{}: ends in its header: copy or download the file again", name);
  }
  std::vector<std::int64_t> sizes;
  for (std::size_t i = 0; i < dimensions; ++i) {
    const auto size = big_endian(header, 4 + 4 * i);
    const auto most = i == 0 ? kMostImages : kLongestSide;
    if (size < 1 || size > most) {
      throw input_error(kRoom, "{}: its header states a size of {}, expected 1 to {}", name, size,
                        most);
    }
    sizes.push_back(static_cast<std::int64_t>(size));
  }
  return sizes;
}

// ---- Files of a folder -------------------------------------------------------------------------

struct FileName {
  std::string prefix;
  std::string part;  ///< `train-images`
};

/// `emnist-letters-train-images.idx3-ubyte.gz` -> {`emnist-letters-`, `train-images`}; of another
/// file no part.
FileName parse_name(std::string name) {
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  for (const std::string kind : {"images", "labels"}) {
    const auto type = kind == "images" ? "idx3-ubyte" : "idx1-ubyte";
    for (const std::string split : {"train", "t10k", "test"}) {
      for (const auto* dot : {"-", "."}) {
        const auto end = fmt::format("{}-{}{}{}", split, kind, dot, type);
        if (!name.ends_with(end)) continue;
        name.resize(name.size() - end.size());
        if (!name.empty() && !name.ends_with('-')) continue;  // `mytrain-images`
        return {name, fmt::format("{}-{}", split == "test" ? "t10k" : split, kind)};
      }
    }
  }
  return {};
}

template <class Visit>
void for_each_name(const fs::path& folder, Visit visit) {
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    visit(at->path().filename().string());
  }
}

/// The file of a part; where there are several (plain and gzip) the first by name. Empty: none.
fs::path find_part(const fs::path& folder, const std::string& prefix, const std::string& part) {
  std::string found;
  for_each_name(folder, [&](const std::string& name) {
    const auto parsed = parse_name(name);
    if (parsed.part != part || parsed.prefix != prefix) return;
    if (found.empty() || name < found) found = name;
  });
  return found.empty() ? fs::path() : folder / found;
}

std::string unpacked_sha256(const IdxArray& array) {
  std::string text = fmt::format("{}\n", fmt::join(array.sizes, " "));
  text.append(array.values.begin(), array.values.end());
  return sha256(text);
}

IdxSplit read_split(const fs::path& images, const fs::path& labels) {
  IdxSplit split;
  split.images = parse_idx(read_file(images, kRoom), 3, images.string());
  split.labels = parse_idx(read_file(labels, kRoom), 1, labels.string());
  if (split.images.sizes[0] != split.labels.sizes[0]) {
    throw input_error(kRoom, "{}: {} labels, expected one for each of the {} images of {}",
                      labels.string(), split.labels.sizes[0], split.images.sizes[0],
                      images.filename().string());
  }
  return split;
}

std::string only_prefix(const fs::path& folder) {
  std::set<std::string> prefixes;
  for_each_name(folder, [&](const std::string& name) {
    const auto parsed = parse_name(name);
    if (parsed.part == "train-images") prefixes.insert(parsed.prefix);
  });
  if (prefixes.size() != 1) {
    throw input_error(kRoom,
                      "{}: {} data sets ({}), expected one: put the files of each into a folder of "
                      "its own",
                      folder.string(), prefixes.size(), fmt::join(prefixes, ", "));
  }
  return *prefixes.begin();
}

}  // namespace

IdxArray parse_idx(std::string_view bytes, std::size_t dimensions, const std::string& name) {
  const bool packed = is_gzip(bytes);
  const auto header_bytes = 4 + 4 * dimensions;
  const auto header =
      packed ? gunzip(bytes, header_bytes, name) : std::string(bytes.substr(0, header_bytes));
  IdxArray array{.sizes = header_sizes(header, dimensions, name), .values = {}};
  std::uint64_t expected = header_bytes;
  std::uint64_t values = 1;
  for (const auto size : array.sizes) values *= static_cast<std::uint64_t>(size);  // < 2^55
  expected += values;
  std::string content;
  if (packed) {
    if (expected / kMostInflation <= bytes.size()) {
      content = gunzip(bytes, static_cast<std::size_t>(expected + 1), name);
    }
    bytes = content;
  }
  if (bytes.size() != expected) {
    throw input_error(
        kRoom,
        "{}: its header states {} values, {} bytes with the header; found {}: copy or "
        "download the file again",
        name, fmt::join(array.sizes, " x "), expected,
        !packed                   ? std::to_string(bytes.size())
        : bytes.size() > expected ? "more"
                                  : "fewer");
  }
  array.values.assign(bytes.begin() + static_cast<std::ptrdiff_t>(header_bytes), bytes.end());
  return array;
}

fs::path find_idx_folder(const fs::path& dir) {
  for (const auto& folder : {dir, dir / "raw"}) {
    bool found = false;
    for_each_name(folder, [&](const std::string& name) {
      found = found || parse_name(name).part == "train-images";
    });
    if (found) return folder;
  }
  return {};
}

IdxFiles read_idx(const fs::path& dir) {
  IdxFiles files;
  files.folder = find_idx_folder(dir);
  if (files.folder.empty()) {
    throw input_error(kRoom,
                      "{}: no train-images-idx3-ubyte here, plain or .gz: choose another "
                      "folder",
                      dir.string());
  }
  files.prefix = only_prefix(files.folder);
  const auto part = [&](const std::string& name) {
    return find_part(files.folder, files.prefix, name);
  };
  const auto expect = [&](const std::string& name, const char* type) {
    auto file = part(name);
    if (!file.empty()) return file;
    throw input_error(kRoom, "{}: no such file, plain or .gz: copy or download it",
                      (files.folder / (files.prefix + name + type)).string());
  };
  files.train = read_split(part("train-images"), expect("train-labels", "-idx1-ubyte"));
  if (!part("t10k-images").empty() || !part("t10k-labels").empty()) {
    files.test =
        read_split(expect("t10k-images", "-idx3-ubyte"), expect("t10k-labels", "-idx1-ubyte"));
    if (!std::equal(files.train.images.sizes.begin() + 1, files.train.images.sizes.end(),
                    files.test.images.sizes.begin() + 1)) {
      throw input_error(
          kRoom, "{}: its test images are {} px, expected {} as those to train on",
          files.folder.string(),
          fmt::join(files.test.images.sizes.begin() + 1, files.test.images.sizes.end(), " x "),
          fmt::join(files.train.images.sizes.begin() + 1, files.train.images.sizes.end(), " x "));
    }
  }
  files.train_images_sha256 = unpacked_sha256(files.train.images);
  files.checksum = sha256(fmt::format(
      "{}\n{}\n{}\n{}\n", files.train_images_sha256, unpacked_sha256(files.train.labels),
      unpacked_sha256(files.test.images), unpacked_sha256(files.test.labels)));
  return files;
}

}  // namespace xception
