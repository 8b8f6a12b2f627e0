#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <system_error>

#include "cifar10_files.h"
#include "room.h"
#include "xception/core/error.h"
#include "xception/core/files.h"
#include "xception/data/cifar10.h"

namespace xception {
namespace {

namespace fs = std::filesystem;
using namespace cifar10;

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
  content.reserve((end - begin) * kRecordBytes);
  for (std::size_t i = begin; i < end; ++i) {
    const auto pixels = records.images.begin() + static_cast<std::ptrdiff_t>(i * kPixelBytes);
    content.push_back(static_cast<char>(records.labels[i]));
    content.append(pixels, pixels + static_cast<std::ptrdiff_t>(kPixelBytes));
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
  if (records.images.size() != records.labels.size() * kPixelBytes) {
    throw input_error(kRoom, "{} bytes of {} images, expected {}", grouped(records.images.size()),
                      split, grouped(records.labels.size() * kPixelBytes));
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
