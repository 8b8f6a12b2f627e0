#include "xception/data/cifar10.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <system_error>
#include <utility>

#include "cifar10_files.h"
#include "room.h"
#include "xception/core/error.h"
#include "xception/core/files.h"

namespace xception {
namespace {

namespace fs = std::filesystem;
using namespace cifar10;

/// The folder that has the files: `dir` or the one inside it that the download unpacks to.
fs::path find_folder(const fs::path& dir) {
  std::error_code error;
  if (!fs::exists(dir, error)) {
    throw input_error(kRoom, "{}: no such directory, expected one with {}", dir.string(), kFolder);
  }
  if (!fs::is_directory(dir, error)) {
    throw input_error(kRoom, "{}: is a file, expected a directory with {}: unpack it there",
                      dir.string(), kFolder);
  }
  for (const auto& folder : {dir, dir / kFolder}) {
    // Any batch will do: that the first is missing is better said by read_train.
    for (std::int64_t batch = 1; batch <= kTrainBatches; ++batch) {
      if (fs::exists(folder / train_file(batch), error)) return folder;
    }
  }
  if (fs::exists(dir / "data_batch_1", error) || fs::exists(dir / "cifar-10-batches-py", error)) {
    throw input_error(kRoom,
                      "{}: holds the Python version of CIFAR-10, expected the binary version with "
                      "{}: download cifar-10-binary.tar.gz",
                      dir.string(), train_file(1));
  }
  throw input_error(kRoom, "{}: no {} here or in {}: unpack cifar-10-binary.tar.gz here",
                    dir.string(), train_file(1), kFolder);
}

void check_size(const fs::path& file, std::uint64_t bytes) {
  constexpr std::uint64_t kMost = kBatchRecords * kRecordBytes;
  if (bytes % kRecordBytes != 0) {
    throw input_error(kRoom,
                      "{}: {} bytes, not a multiple of {} (a record); expected at most {}: copy or "
                      "download the file again",
                      file.string(), grouped(bytes), grouped(kRecordBytes), grouped(kMost));
  }
  if (bytes == 0) {
    throw input_error(kRoom,
                      "{}: is empty, expected 1 to {} records of {} bytes: copy or download the "
                      "file again",
                      file.string(), grouped(kBatchRecords), grouped(kRecordBytes));
  }
  if (bytes > kMost) {
    throw input_error(kRoom,
                      "{}: {} bytes ({} records), expected at most {} ({} records): copy or "
                      "download the file again",
                      file.string(), grouped(bytes), grouped(bytes / kRecordBytes), grouped(kMost),
                      grouped(kBatchRecords));
  }
}

/// Appends a file's records to `records`.
void read_batch(const fs::path& file, Cifar10Records& records, Checksum& checksum) {
  std::error_code error;
  const auto bytes = fs::file_size(file, error);
  if (!error) check_size(file, bytes);  // before memory is spent on what can't be a batch
  const std::string content = read_file(file, kRoom);
  check_size(file, content.size());
  checksum.add_batch(file.filename().string(), content);
  const std::size_t count = content.size() / kRecordBytes;
  records.labels.reserve(records.labels.size() + count);
  records.images.reserve(records.images.size() + count * kPixelBytes);
  for (std::size_t i = 0; i < count; ++i) {
    const auto record = content.begin() + static_cast<std::ptrdiff_t>(i * kRecordBytes);
    const auto label = static_cast<std::uint8_t>(*record);
    if (label >= kClasses) {
      throw input_error(kRoom,
                        "{}: record {} (counted from 0) has label {}, expected 0 to {}: copy or "
                        "download the file again",
                        file.string(), grouped(i), label, kClasses - 1);
    }
    records.labels.push_back(label);
    records.images.insert(records.images.end(), record + 1,
                          record + static_cast<std::ptrdiff_t>(kRecordBytes));
  }
}

Cifar10Records read_train(const fs::path& folder, Checksum& checksum) {
  std::error_code error;
  std::int64_t last = 0;
  for (std::int64_t batch = 1; batch <= kTrainBatches; ++batch) {
    if (!fs::exists(folder / train_file(batch), error)) continue;
    if (batch != last + 1) {
      throw input_error(kRoom,
                        "{}: no such file, but {} exists; expected batches without a gap: copy or "
                        "download the missing one",
                        (folder / train_file(last + 1)).string(), train_file(batch));
    }
    last = batch;
  }
  Cifar10Records records;
  for (std::int64_t batch = 1; batch <= last; ++batch) {
    read_batch(folder / train_file(batch), records, checksum);
  }
  return records;
}

std::vector<std::string> read_names(const fs::path& file, Checksum& checksum) {
  const std::string content = read_file(file, kRoom);
  checksum.add(file.filename().string(), content);
  auto names = lines_of(content);
  if (std::ssize(names) != kClasses) {
    throw input_error(kRoom, "{}: {} class names, expected {}, one a line", file.string(),
                      grouped(names.size()), kClasses);
  }
  const auto blank = std::find(names.begin(), names.end(), std::string());
  if (blank != names.end()) {
    throw input_error(kRoom, "{}: line {} is blank, expected a class name", file.string(),
                      blank - names.begin() + 1);
  }
  return names;
}

std::string read_name(const fs::path& file) {
  std::error_code error;
  if (!fs::exists(file, error)) return kOfficialName;
  auto lines = lines_of(read_file(file, kRoom));
  if (lines.size() != 1 || lines.front().empty()) {
    throw input_error(kRoom, "{}: {} lines, expected one, the data set's name", file.string(),
                      grouped(lines.size()));
  }
  return std::move(lines.front());
}

}  // namespace

Cifar10Files read_cifar10(const fs::path& dir) {
  const fs::path folder = find_folder(dir);
  Cifar10Files files;
  Checksum checksum;
  files.train = read_train(folder, checksum);
  read_batch(folder / kTestFile, files.test, checksum);
  files.class_names = read_names(folder / kNamesFile, checksum);
  files.name = read_name(folder / kDatasetFile);
  files.checksum = checksum.value();
  files.original = checksum.original();
  return files;
}

}  // namespace xception
