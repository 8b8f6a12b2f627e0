#include "cifar10_files.h"

#include <fmt/format.h>

#include <functional>
#include <map>

#include "xception/core/files.h"

namespace xception::cifar10 {
namespace {

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

}  // namespace

std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t end = text.size(); end > 3; end -= 3) text.insert(end - 3, 1, ',');
  return text;
}

std::string train_file(std::int64_t batch) {
  return fmt::format("data_batch_{}.bin", batch);
}

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

void Checksum::add(std::string_view file_name, std::string_view content) {
  lines_ += fmt::format("{}  {}\n", sha256(content), file_name);
}

void Checksum::add_batch(std::string_view file_name, std::string_view content) {
  add(file_name, content);
  const auto published = published_sha1().find(file_name);
  intact_ = intact_ && published != published_sha1().end() &&
            std::ssize(content) == kBatchRecords * kRecordBytes &&
            sha1(content) == published->second;
  ++batches_;
}

std::string Checksum::value() const {
  return sha256(lines_);
}

bool Checksum::original() const {
  return intact_ && batches_ == published_sha1().size();
}

}  // namespace xception::cifar10
