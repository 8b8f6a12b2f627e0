#include "xception/data/cifar10.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string_view>
#include <system_error>
#include <utility>

#include "xception/core/error.h"
#include "xception/core/files.h"

namespace xception {
namespace {

namespace fs = std::filesystem;
using namespace cifar10;

constexpr std::string_view kRoom = "data";
constexpr std::size_t kRecord = kRecordBytes;
constexpr std::size_t kPixels = kPixelBytes;

/// 30729999 -> "30,729,999"
std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t end = text.size(); end > 3; end -= 3) text.insert(end - 3, ",");
  return text;
}

std::string train_file(std::int64_t batch) {
  return fmt::format("data_batch_{}.bin", batch);
}

/// SHA-1 of the batches in cifar-10-binary.tar.gz, as MXNet's CIFAR10 checks them.
const std::map<std::string, std::string, std::less<>>& published_sha1() {
  static const std::map<std::string, std::string, std::less<>> sums = {
      {"data_batch_1.bin", "aadd24acce27caa71bf4b10992e9e7b2d74c2540"},
      {"data_batch_2.bin", "c0ba65cce70568cd57b4e03e9ac8d2a5367c1795"},
      {"data_batch_3.bin", "1dd00a74ab1d17a6e7d73e185b69dbf31242f295"},
      {"data_batch_4.bin", "aab85764eb3584312d3c7f65fd2fd016e36a258e"},
      {"data_batch_5.bin", "26e2849e66a845b7f1e4614ae70f4889ae604628"},
      {"test_batch.bin", "67eb016db431130d61cd03c7ad570b013799c88c"},
  };
  return sums;
}

/// Collects the lines of `sha256sum` as files pass by, in reading order.
class Checksum {
 public:
  void add(std::string_view file_name, std::string_view content) {
    lines_ += fmt::format("{}  {}\n", sha256(content), file_name);
  }
  /// The same; after the first batch that isn't the official one, no more are compared.
  void add_batch(std::string_view file_name, std::string_view content) {
    add(file_name, content);
    const auto published = published_sha1().find(file_name);
    intact_ = intact_ && published != published_sha1().end() &&
              std::ssize(content) == kBatchRecords * kRecordBytes &&
              sha1(content) == published->second;
    ++batches_;
  }
  [[nodiscard]] std::string value() const { return sha256(lines_); }
  [[nodiscard]] bool original() const { return intact_ && batches_ == published_sha1().size(); }

 private:
  std::string lines_;
  std::size_t batches_ = 0;
  bool intact_ = true;
};

// ---- Reading --------------------------------------------------------------------------------

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
  if (bytes % kRecord != 0) {
    throw input_error(kRoom,
                      "{}: {} bytes, not a multiple of {} (a record); expected at most {}: copy or "
                      "download the file again",
                      file.string(), grouped(bytes), grouped(kRecord), grouped(kMost));
  }
  if (bytes == 0) {
    throw input_error(kRoom,
                      "{}: is empty, expected 1 to {} records of {} bytes: copy or download the "
                      "file again",
                      file.string(), grouped(kBatchRecords), grouped(kRecord));
  }
  if (bytes > kMost) {
    throw input_error(kRoom,
                      "{}: {} bytes ({} records), expected at most {} ({} records): copy or "
                      "download the file again",
                      file.string(), grouped(bytes), grouped(bytes / kRecord), grouped(kMost),
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
  const std::size_t count = content.size() / kRecord;
  records.labels.reserve(records.labels.size() + count);
  records.images.reserve(records.images.size() + count * kPixels);
  for (std::size_t i = 0; i < count; ++i) {
    const auto record = content.begin() + static_cast<std::ptrdiff_t>(i * kRecord);
    const auto label = static_cast<std::uint8_t>(*record);
    if (label >= kClasses) {
      throw input_error(kRoom,
                        "{}: record {} (counted from 0) has label {}, expected 0 to {}: copy or "
                        "download the file again",
                        file.string(), grouped(i), label, kClasses - 1);
    }
    records.labels.push_back(label);
    records.images.insert(records.images.end(), record + 1,
                          record + static_cast<std::ptrdiff_t>(kRecord));
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

/// The lines of a text, without the blank ones at its end and what an editor may put at its start.
std::vector<std::string> lines_of(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  std::vector<std::string> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    auto line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    lines.emplace_back(line);
  }
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
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

// ---- Writing --------------------------------------------------------------------------------

std::string names_content(const std::vector<std::string>& names) {
  std::string content;
  for (const auto& name : names) content += name + '\n';
  return content;
}

/// One batch file's bytes: the records from `first` on, 10,000 at most.
std::string batch_content(const Cifar10Records& records, std::int64_t first) {
  const auto begin = static_cast<std::size_t>(first);
  const auto end = static_cast<std::size_t>(std::min(records.size(), first + kBatchRecords));
  std::string content;
  content.reserve((end - begin) * kRecord);
  for (std::size_t i = begin; i < end; ++i) {
    const auto pixels = records.images.begin() + static_cast<std::ptrdiff_t>(i * kPixels);
    content.push_back(static_cast<char>(records.labels[i]));
    content.append(pixels, pixels + static_cast<std::ptrdiff_t>(kPixels));
  }
  return content;
}

/// Calls visit(file name, content) for each file of the set, in the order of the checksum.
template <class Visit>
void for_each_file(const Cifar10Files& files, Visit visit) {
  for (std::int64_t first = 0; first < files.train.size(); first += kBatchRecords) {
    visit(train_file(first / kBatchRecords + 1), batch_content(files.train, first));
  }
  visit(kTestFile, batch_content(files.test, 0));
  visit(kNamesFile, names_content(files.class_names));
}

void check_records(const char* split, const Cifar10Records& records, std::int64_t most) {
  if (records.size() < 1 || records.size() > most) {
    throw input_error(kRoom, "{} {} images, expected 1 to {}", grouped(records.labels.size()),
                      split, grouped(static_cast<std::uint64_t>(most)));
  }
  if (records.images.size() != records.labels.size() * kPixels) {
    throw input_error(kRoom, "{} bytes of {} images, expected {}", grouped(records.images.size()),
                      split, grouped(records.labels.size() * kPixels));
  }
  const auto label = std::max_element(records.labels.begin(), records.labels.end());
  if (*label >= kClasses) {
    throw input_error(kRoom, "{} image {} has label {}, expected 0 to {}", split,
                      label - records.labels.begin(), *label, kClasses - 1);
  }
}

void check_writable(const Cifar10Files& files) {
  check_records("training", files.train, kTrainBatches * kBatchRecords);
  check_records("test", files.test, kBatchRecords);
  const auto is_line = [](const std::string& text) { return lines_of(text) == std::vector{text}; };
  if (std::ssize(files.class_names) != kClasses ||
      !std::all_of(files.class_names.begin(), files.class_names.end(), is_line)) {
    throw input_error(kRoom, "{} class names, expected {}, each one line without trailing blanks",
                      files.class_names.size(), kClasses);
  }
  if (!is_line(files.name)) {
    throw input_error(kRoom, "data set name '{}', expected one line", files.name);
  }
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

void write_cifar10(const fs::path& dir, const Cifar10Files& files) {
  check_writable(files);
  const fs::path folder = dir / kFolder;
  std::error_code error;
  if (fs::exists(folder / train_file(1), error) && !fs::exists(folder / kDatasetFile, error)) {
    throw input_error(kRoom,
                      "{}: already holds a data set without {}, so not one of this program's: "
                      "choose another directory",
                      folder.string(), kDatasetFile);
  }
  fs::create_directories(folder, error);
  if (error) throw run_error(kRoom, "{}: cannot be made: {}", folder.string(), error.message());
  // The name goes first: were the run cut short, its next attempt must not find a foreign set.
  write_file_atomic(folder / kDatasetFile, files.name + '\n');
  for_each_file(files, [&](const std::string& name, const std::string& content) {
    write_file_atomic(folder / name, content);
  });
  // Batches of an earlier, larger set would be read as part of this one.
  const auto batches = (files.train.size() + kBatchRecords - 1) / kBatchRecords;
  for (auto batch = batches + 1; batch <= kTrainBatches; ++batch) {
    fs::remove(folder / train_file(batch), error);
    if (error) {
      throw run_error(kRoom, "{}: cannot be removed: {}", (folder / train_file(batch)).string(),
                      error.message());
    }
  }
}

std::string cifar10_checksum(const Cifar10Files& files) {
  Checksum checksum;
  for_each_file(files, [&](const std::string& name, const std::string& content) {
    checksum.add(name, content);
  });
  return checksum.value();
}

}  // namespace xception
