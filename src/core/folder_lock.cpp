#include "xception/core/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <system_error>
#include <thread>

#include "xception/core/error.h"

namespace xception {
namespace {

constexpr const char* kFile = ".lock";
constexpr int kAttempts = 10;

}  // namespace

FolderLock::FolderLock(const std::filesystem::path& folder, const std::string& busy) {
  const auto file = folder / kFile;
  descriptor_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0) {
    throw input_error("core", "{}: cannot be written: {}", file.string(),
                      std::generic_category().message(errno));
  }
  for (int i = 0; i < kAttempts; ++i) {
    // Any other error than this one: a file system without locks.
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
    // It may only be somebody who asks whether it is held.
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  ::close(descriptor_);
  throw input_error("core", "{}", busy);
}

FolderLock::~FolderLock() {
  ::close(descriptor_);
}

bool FolderLock::is_held(const std::filesystem::path& folder) {
  const int descriptor = ::open((folder / kFile).c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0) return false;
  const bool held = ::flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(descriptor);
  return held;
}

}  // namespace xception
