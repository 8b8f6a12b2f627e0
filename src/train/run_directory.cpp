#include "xception/train/run_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "xception/core/error.h"
#include "xception/core/files.h"

namespace xception {

void RunDirectory::create() const {
  std::error_code error;
  std::filesystem::create_directories(checkpoints(), error);
  const auto probe = root_ / ".writable";
  try {
    if (error) throw run_error("train", "{}", error.message());
    write_file_atomic(probe, "");
    std::filesystem::remove(probe);
  } catch (const Error& cause) {
    throw input_error("train", "--out {}: cannot be written to ({}); choose another folder",
                      root_.string(), error ? error.message() : std::string(cause.what()));
  }
}

RunConfig RunDirectory::read_config() const {
  if (!std::filesystem::is_directory(root_)) {
    throw input_error("train", "--run {}: no such folder; expected one that `xception train` made",
                      root_.string());
  }
  if (!holds_run()) {
    throw input_error("train", "--run {}: holds no run (no config.json)", root_.string());
  }
  return load_config(config(), {});
}

RunLock::RunLock(const RunDirectory& directory) {
  const auto file = directory.root() / ".lock";
  descriptor_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0) {
    throw input_error("train", "{}: cannot be written: {}", file.string(),
                      std::generic_category().message(errno));
  }
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    // A file system without locks is no reason not to train.
    if (error != EWOULDBLOCK) return;
    ::close(descriptor_);
    throw input_error("train",
                      "--out {}: another process is training there; wait for it or choose another "
                      "folder",
                      directory.root().string());
  }
}

RunLock::~RunLock() {
  ::close(descriptor_);
}

std::filesystem::path default_run_directory(const std::string& name, bool resume) {
  const std::filesystem::path base = std::filesystem::path("runs") / name;
  std::filesystem::path newest = base;
  std::filesystem::path candidate = base;
  for (int i = 2; std::filesystem::exists(candidate); ++i) {
    newest = candidate;
    candidate = base.string() + "-" + std::to_string(i);
  }
  return resume ? newest : candidate;
}

}  // namespace xception
