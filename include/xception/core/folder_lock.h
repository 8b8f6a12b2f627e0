#pragma once

#include <filesystem>
#include <string>

namespace xception {

/// Keeps other processes from writing into the same folder, for its lifetime; a lock whose owner
/// died holds nobody. A file system without locks is no hindrance.
class FolderLock {
 public:
  /// busy: the message if another process has it. Errors (input): that; the folder cannot be
  /// written to.
  FolderLock(const std::filesystem::path& folder, const std::string& busy);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  /// Whether a process has it now.
  [[nodiscard]] static bool is_held(const std::filesystem::path& folder);

 private:
  int descriptor_;
};

}  // namespace xception
