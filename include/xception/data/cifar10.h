#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace xception {

/// CIFAR-10's binary layout (https://www.cs.toronto.edu/~kriz/cifar.html): records of one label
/// byte and 3,072 pixel bytes (red, green and blue planes of 32 x 32, row-major).
namespace cifar10 {
inline constexpr std::int64_t kSide = 32;
inline constexpr std::int64_t kPixelBytes = 3 * kSide * kSide;
inline constexpr std::int64_t kRecordBytes = 1 + kPixelBytes;
inline constexpr std::int64_t kClasses = 10;
inline constexpr std::int64_t kBatchRecords = 10'000;
inline constexpr std::int64_t kTrainBatches = 5;
inline constexpr const char* kFolder = "cifar-10-batches-bin";
inline constexpr const char* kTestFile = "test_batch.bin";
inline constexpr const char* kNamesFile = "batches.meta.txt";
/// Not part of the official set: one line that says what the set is, for sets that aren't it.
inline constexpr const char* kDatasetFile = "dataset.txt";
inline constexpr const char* kOfficialName = "CIFAR-10";
/// What figures of files that aren't the official ones are called, since nobody should take them
/// for CIFAR-10's.
inline constexpr const char* kOtherLabel = "CIFAR-10 layout, not the original files";
inline constexpr const char* kSyntheticName = "CIFAR-10 (synthetic)";
}  // namespace cifar10

/// Images and labels of one split, as bytes.
struct Cifar10Records {
  std::vector<std::uint8_t> images;  ///< n x 3,072
  std::vector<std::uint8_t> labels;  ///< n
  [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(labels.size()); }
};

/// A whole data set on disk.
struct Cifar10Files {
  Cifar10Records train;
  Cifar10Records test;
  std::vector<std::string> class_names;  ///< ten
  std::string name;                      ///< the line of dataset.txt; without that file, `CIFAR-10`
  std::string checksum;                  ///< of the files' bytes, see cifar10_checksum
  bool original = false;  ///< all six batches have the published SHA-1; of a set that was read
};

/// Reads `dir` or `dir/cifar-10-batches-bin`: data_batch_1.bin onwards (one to five, no gap),
/// test_batch.bin, batches.meta.txt and, where it exists, dataset.txt. Every size, label and class
/// name is checked.
/// Errors (input): no such directory or file, a gap in the numbers, an empty file, a size that is
/// no multiple of a record, more than 10,000 records, a label over 9, not ten class names.
[[nodiscard]] Cifar10Files read_cifar10(const std::filesystem::path& dir);

/// Writes the layout that read_cifar10 reads, to `dir/cifar-10-batches-bin`, each file atomically.
/// A set written earlier by this function is replaced; one without dataset.txt (a download) isn't.
/// Errors (input): counts, labels or names that read_cifar10 would refuse, a foreign set in the
/// way. Errors (run): a file or directory cannot be written.
void write_cifar10(const std::filesystem::path& dir, const Cifar10Files& files);

/// Identifies the bytes of a set as write_cifar10 writes it: what
/// `sha256sum data_batch_?.bin test_batch.bin batches.meta.txt | sha256sum` prints in its folder.
/// `Cifar10Files::checksum` of a set that was read is the same function of the files it came from.
[[nodiscard]] std::string cifar10_checksum(const Cifar10Files& files);

}  // namespace xception
