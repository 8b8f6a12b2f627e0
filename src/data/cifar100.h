#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace xception {

/// CIFAR-100's binary layout (https://www.cs.toronto.edu/~kriz/cifar.html): records of a coarse
/// label, a fine label and 3,072 pixel bytes as CIFAR-10's.
namespace cifar100 {
inline constexpr std::int64_t kFineClasses = 100;
inline constexpr std::int64_t kCoarseClasses = 20;
inline constexpr std::int64_t kTrainRecords = 50'000;
inline constexpr std::int64_t kTestRecords = 10'000;
inline constexpr const char* kFolder = "cifar-100-binary";
inline constexpr const char* kTrainFile = "train.bin";
inline constexpr const char* kTestFile = "test.bin";
inline constexpr const char* kNamesFile = "fine_label_names.txt";
}  // namespace cifar100

/// Images and labels of one split, as bytes.
struct Cifar100Records {
  std::vector<std::uint8_t> images;  ///< n x 3,072
  std::vector<std::uint8_t> labels;  ///< n, fine
};

/// A whole data set on disk.
struct Cifar100Files {
  Cifar100Records train;
  Cifar100Records test;
  std::vector<std::string> class_names;  ///< the hundred fine ones
  std::filesystem::path folder;          ///< that has the files
  std::string checksum;                  ///< SHA-256 of both files and the names
  bool original = false;                 ///< both files have the published SHA-1
};

/// Parses one file. Errors (input): a size that is no multiple of a record, none or more than
/// `most` records, a label out of its range; `name` stands for the file in messages.
[[nodiscard]] Cifar100Records parse_cifar100(std::string_view bytes, std::int64_t most,
                                             const std::string& name);

/// Reads `dir` or `dir/cifar-100-binary`: train.bin, test.bin, fine_label_names.txt. Errors
/// (input): one is missing, as parse_cifar100, not a hundred names.
[[nodiscard]] Cifar100Files read_cifar100(const std::filesystem::path& dir);

}  // namespace xception
