#include "shard_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "xception/core/error.h"

namespace xception {
namespace {

Error unreadable(const std::string& name, int error) {
  return input_error("data", "{}: cannot be read: {}", name,
                     std::generic_category().message(error));
}

}  // namespace

ShardFile::ShardFile(const std::filesystem::path& path)
    : name_(path.string()),
      // A pipe of this name must not make us wait.
      descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  if (descriptor_ < 0) throw unreadable(name_, errno);
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor_);
    throw input_error("data", "{}: is not a file", name_);
  }
}

ShardFile::~ShardFile() {
  ::close(descriptor_);
}

ShardStamp ShardFile::stamp() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) throw unreadable(name_, errno);
  return {.size = static_cast<std::uint64_t>(status.st_size),
          .modified = status.st_mtim.tv_sec * std::int64_t{1'000'000'000} + status.st_mtim.tv_nsec};
}

void ShardFile::read(std::uint64_t offset, char* to, std::size_t count) const {
  while (count > 0) {
    const ssize_t got = ::pread(descriptor_, to, count, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw unreadable(name_, errno);
    if (got == 0) throw input_error("data", "{}: ends early: was it changed?", name_);
    to += got;
    offset += static_cast<std::uint64_t>(got);
    count -= static_cast<std::size_t>(got);
  }
}

ByteSource ShardFile::source() const {
  return {.name = name_,
          .size = stamp().size,
          .read = [this](std::uint64_t offset, char* to, std::size_t count) {
            read(offset, to, count);
          }};
}

std::shared_ptr<const ShardFile> OpenShards::open(const std::filesystem::path& path) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(files_.begin(), files_.end(),
                                  [&](const auto& entry) { return entry.first == path; });
  if (found != files_.end()) {
    files_.splice(files_.begin(), files_, found);
    return found->second;
  }
  files_.emplace_front(path, std::make_shared<const ShardFile>(path));
  if (files_.size() > kMost) files_.pop_back();
  return files_.front().second;
}

}  // namespace xception
