#include "cifar100.h"

#include <fmt/format.h>

#include <algorithm>

#include "cifar10_files.h"
#include "room.h"
#include "xception/core/error.h"
#include "xception/core/files.h"

namespace xception {
namespace {

namespace fs = std::filesystem;
using namespace cifar100;
using cifar10::grouped;

constexpr std::size_t kCifar100RecordBytes = 2 + cifar10::kPixelBytes;

/// SHA-1 of the files in cifar-100-binary.tar.gz, as MXNet's CIFAR100 checks them.
constexpr const char* kTrainSha1 = "e207cd2e05b73b1393c74c7f5e7bea451d63e08e";
constexpr const char* kTestSha1 = "8fb6623e830365ff53cf14adec797474f5478006";

void check_size(const std::string& name, std::uint64_t bytes, std::int64_t most) {
  const auto most_bytes = static_cast<std::uint64_t>(most) * kCifar100RecordBytes;
  if (bytes % kCifar100RecordBytes == 0 && bytes > 0 && bytes <= most_bytes) return;
  throw input_error(
      kRoom, "{}: {} bytes, expected 1 to {} records of {}: copy or download the file again", name,
      grouped(bytes), grouped(static_cast<std::uint64_t>(most)), grouped(kCifar100RecordBytes));
}

std::string read_bounded(const fs::path& file, std::int64_t most) {
  std::error_code error;
  const auto bytes = fs::file_size(file, error);
  if (!error) check_size(file.string(), bytes, most);  // before memory is spent
  return read_file(file, kRoom);
}

std::vector<std::string> parse_names(std::string_view text, const fs::path& file) {
  auto names = cifar10::lines_of(text);
  const auto blank = std::find(names.begin(), names.end(), std::string());
  if (std::ssize(names) != kFineClasses || blank != names.end()) {
    throw input_error(kRoom, "{}: {} class names, {} of them blank; expected {}, one a line",
                      file.string(), names.size(),
                      std::count(names.begin(), names.end(), std::string()), kFineClasses);
  }
  return names;
}

}  // namespace

Cifar100Records parse_cifar100(std::string_view bytes, std::int64_t most, const std::string& name) {
  check_size(name, bytes.size(), most);
  const auto count = bytes.size() / kCifar100RecordBytes;
  Cifar100Records records;
  records.labels.reserve(count);
  records.images.reserve(count * cifar10::kPixelBytes);
  for (std::size_t i = 0; i < count; ++i) {
    const auto record = bytes.substr(i * kCifar100RecordBytes, kCifar100RecordBytes);
    const auto coarse = static_cast<std::uint8_t>(record[0]);
    const auto fine = static_cast<std::uint8_t>(record[1]);
    if (coarse >= kCoarseClasses || fine >= kFineClasses) {
      throw input_error(kRoom,
                        "{}: record {} (counted from 0) has labels {} and {}, expected 0 to {} and "
                        "0 to {}: copy or download the file again",
                        name, grouped(i), coarse, fine, kCoarseClasses - 1, kFineClasses - 1);
    }
    records.labels.push_back(fine);
    records.images.insert(records.images.end(), record.begin() + 2, record.end());
  }
  return records;
}

Cifar100Files read_cifar100(const fs::path& dir) {
  Cifar100Files files;
  std::error_code error;
  files.folder = fs::exists(dir / cifar100::kFolder, error) ? dir / cifar100::kFolder : dir;
  const auto train = read_bounded(files.folder / cifar100::kTrainFile, kTrainRecords);
  files.train =
      parse_cifar100(train, kTrainRecords, (files.folder / cifar100::kTrainFile).string());
  const auto test = read_bounded(files.folder / cifar100::kTestFile, kTestRecords);
  files.test = parse_cifar100(test, kTestRecords, (files.folder / cifar100::kTestFile).string());
  const auto names = read_file(files.folder / cifar100::kNamesFile, kRoom);
  files.class_names = parse_names(names, files.folder / cifar100::kNamesFile);
  files.checksum =
      sha256(fmt::format("{}  {}\n{}  {}\n{}  {}\n", sha256(test), cifar100::kTestFile,
                         sha256(train), cifar100::kTrainFile, sha256(names), cifar100::kNamesFile));
  files.original = sha1(train) == kTrainSha1 && sha1(test) == kTestSha1;
  return files;
}

}  // namespace xception
