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
  /// A nameless file in memory with these bytes, for libraries that read files. Errors (run): no
  /// memory for it.
  [[nodiscard]] static InputFile in_memory(std::string_view bytes, std::string name,
                                           std::string_view room);
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  ~InputFile();

  /// As the messages name it.
  [[nodiscard]] const std::string& name() const { return name_; }
  /// Bytes, when it was opened.
  [[nodiscard]] std::uint64_t size() const { return size_; }

  /// Whether in_memory() made it: then it has no path, not even as /proc/self/fd/N.
  [[nodiscard]] bool is_in_memory() const { return in_memory_; }

  /// For libraries that read files themselves; it stays this object's.
  [[nodiscard]] int descriptor() const { return descriptor_; }

  /// Reads the `bytes` bytes from `offset` on. Errors (input): the file has fewer, reading failed.
  void read(std::uint64_t offset, void* to, std::size_t bytes) const;
  [[nodiscard]] std::string read(std::uint64_t offset, std::size_t bytes) const;

 private:
  InputFile(int descriptor, std::uint64_t size, std::string name, std::string_view room);

  std::string name_;
  std::string room_;
  int descriptor_;
  std::uint64_t size_ = 0;
  bool in_memory_ = false;
};

}  // namespace xception
