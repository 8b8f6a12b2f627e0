#pragma once

#include <cstdint>
#include <filesystem>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "shard_index.h"
#include "tar.h"

namespace xception {

/// A tar file, open for reading at any place, by several threads at once.
class ShardFile {
 public:
  /// Errors (input): missing, unreadable, not a file.
  explicit ShardFile(const std::filesystem::path& path);
  ~ShardFile();
  ShardFile(const ShardFile&) = delete;
  ShardFile& operator=(const ShardFile&) = delete;

  [[nodiscard]] ShardStamp stamp() const;
  /// Reads whole or throws. Errors (input): the file ends before, the disk doesn't give it.
  void read(std::uint64_t offset, char* to, std::size_t count) const;
  /// Valid as long as this.
  [[nodiscard]] ByteSource source() const;

 private:
  std::string name_;
  int descriptor_;
};

/// The shards that were read last, open: a system allows a process only so many files.
class OpenShards {
 public:
  /// Errors (input): as ShardFile. May be called from several threads at once.
  [[nodiscard]] std::shared_ptr<const ShardFile> open(const std::filesystem::path& path);

 private:
  static constexpr std::size_t kMost = 64;
  std::mutex mutex_;
  std::list<std::pair<std::filesystem::path, std::shared_ptr<const ShardFile>>> files_;
};

}  // namespace xception
