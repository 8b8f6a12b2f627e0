#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace xception {

/// The layout of MNIST's files (http://yann.lecun.com/exdb/mnist, "the IDX file format"): a magic
/// number that states type and number of dimensions, the dimensions, the values.
struct IdxArray {
  std::vector<std::int64_t> sizes;
  std::vector<std::uint8_t> values;
};

/// Parses a file of bytes (type 0x08), plain or gzip, of so many dimensions. All that a header
/// claims is compared with the file's length before memory is set aside; of a gzip file no more is
/// unpacked than its header claims. Errors (input): another type or number of dimensions, a length
/// that doesn't fit, damaged; `name` stands for the file in messages.
[[nodiscard]] IdxArray parse_idx(std::string_view bytes, std::size_t dimensions,
                                 const std::string& name);

/// Images and labels of one split.
struct IdxSplit {
  IdxArray images;  ///< (n, height, width)
  IdxArray labels;  ///< (n)
};

/// A data set of MNIST's layout.
struct IdxFiles {
  IdxSplit train;
  IdxSplit test;                    ///< empty where there are no such files
  std::filesystem::path folder;     ///< that has the files
  std::string prefix;               ///< before `train` in their names: `emnist-balanced-`
  std::string checksum;             ///< SHA-256 of all four, unpacked
  std::string train_images_sha256;  ///< unpacked
};

/// The folder that has training images: `dir` or `dir/raw`, where torchvision puts them; empty if
/// neither does. By the files' names alone.
[[nodiscard]] std::filesystem::path find_idx_folder(const std::filesystem::path& dir);

/// Reads train-images-idx3-ubyte, train-labels-idx1-ubyte, and t10k- (or, as EMNIST, test-) of
/// both; a dot may stand before `idx`, `.gz` after the name, and one prefix before all of them.
/// Errors (input): a file is missing, several prefixes, as parse_idx, numbers or sizes of images
/// that differ.
[[nodiscard]] IdxFiles read_idx(const std::filesystem::path& dir);

}  // namespace xception
