#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace xception {

/// A regular file, open for reading at any place. It is read and not mapped: a map of a file that
/// somebody cuts short meanwhile ends the process (SIGBUS), a read that comes up short is an error.
class InputFile {
 public:
  /// Errors (input): missing, unreadable, no regular file; `room` is the messages' origin.
  InputFile(const std::filesystem::path& file, std::string_view room);
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  ~InputFile();

  /// As the messages name it.
  [[nodiscard]] const std::string& name() const { return name_; }
  /// Bytes, when it was opened.
  [[nodiscard]] std::uint64_t size() const { return size_; }

  /// For libraries that read files themselves; it stays this object's.
  [[nodiscard]] int descriptor() const { return descriptor_; }

  /// Reads the `bytes` bytes from `offset` on. Errors (input): the file has fewer, reading failed.
  void read(std::uint64_t offset, void* to, std::size_t bytes) const;
  [[nodiscard]] std::string read(std::uint64_t offset, std::size_t bytes) const;

 private:
  std::string name_;
  std::string room_;
  int descriptor_;
  std::uint64_t size_ = 0;
};

}  // namespace xception
