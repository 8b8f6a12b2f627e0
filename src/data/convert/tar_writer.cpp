#include "tar_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "xception/core/error.h"
#include "xception/core/files.h"

namespace xception {
namespace {

constexpr std::size_t kTarBlock = 512;
constexpr std::size_t kWriteBuffer = 1 << 20;

std::string header(std::string_view name, std::size_t size) {
  std::string block(kTarBlock, '\0');
  const auto put = [&](std::size_t at, std::string_view text) {
    block.replace(at, text.size(), text);
  };
  put(0, name);
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", size));
  put(136, "00000000000");
  put(148, "        ");
  put(156, "0");
  put(257, std::string_view("ustar\00000", 8));
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum));
  block[154] = '\0';
  return block;
}

}  // namespace

TarWriter::TarWriter(std::filesystem::path file) : file_(std::move(file)), temporary_(file_) {
  temporary_ += ".tmp";  // of an attempt that was cut short: written anew
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail(errno);
}

TarWriter::~TarWriter() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

void TarWriter::fail(int error) const {
  throw run_error("data", "{}: cannot be written: {}", file_.string(),
                  std::generic_category().message(error));
}

void TarWriter::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t done = ::write(descriptor_, bytes.data(), bytes.size());
    if (done < 0 && errno != EINTR) fail(errno);
    if (done > 0) bytes.remove_prefix(static_cast<std::size_t>(done));
  }
}

void TarWriter::add(std::string_view name, std::string_view content) {
  buffer_ += header(name.substr(0, 99), content.size());
  buffer_ += content;
  buffer_.resize((buffer_.size() + kTarBlock - 1) / kTarBlock * kTarBlock);
  if (buffer_.size() < kWriteBuffer) return;
  write(buffer_);
  written_ += buffer_.size();
  buffer_.clear();
}

void TarWriter::finish() {
  constexpr std::size_t kRecord = 20 * kTarBlock;  // tar's own files are whole records
  const auto end = (written_ + buffer_.size() + 2 * kTarBlock + kRecord - 1) / kRecord * kRecord;
  buffer_.resize(static_cast<std::size_t>(end - written_));
  write(buffer_);
  if (::fsync(descriptor_) != 0) fail(errno);
  const int result = ::close(std::exchange(descriptor_, -1));
  if (result != 0 || ::rename(temporary_.c_str(), file_.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary_.c_str());
    fail(error);
  }
  sync_directory(file_.parent_path());
}

}  // namespace xception
