#pragma once

#include <filesystem>
#include <string>
#include <string_view>

struct evp_md_ctx_st;  // OpenSSL's

namespace xception {

/// The whole content of a file. Errors (input): missing, unreadable; `room` is the message's
/// origin.
[[nodiscard]] std::string read_file(const std::filesystem::path& file, std::string_view room);

/// Replaces a file as a whole, written piece by piece: under a temporary name beside it, synced,
/// renamed. Without commit(), and after a failure, the old content is still there. Errors (run):
/// names the file and the system's reason.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& file);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  void write(std::string_view content);
  void commit();

 private:
  [[noreturn]] void fail(int error) const;

  std::filesystem::path file_;
  std::string temporary_;  ///< empty: there is none any more
  int descriptor_;
};

/// The same of a content that is there as a whole.
void write_file_atomic(const std::filesystem::path& file, std::string_view content);

/// Creates or replaces a symbolic link in one step. Errors (run).
void replace_link(const std::filesystem::path& link, const std::filesystem::path& target);

/// Flushes a directory's entries to the disk. Errors (run).
void sync_directory(const std::filesystem::path& directory);

/// SHA-1 of bytes, 40 hexadecimal digits: to recognize files whose SHA-1 is published.
[[nodiscard]] std::string sha1(std::string_view bytes);

/// SHA-256 of bytes that come piece by piece.
class Sha256 {
 public:
  Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  ~Sha256();

  void update(std::string_view bytes);
  /// 64 hexadecimal digits; the last call.
  [[nodiscard]] std::string digest();

 private:
  ::evp_md_ctx_st* context_;
};

/// SHA-256 of bytes, 64 hexadecimal digits.
[[nodiscard]] std::string sha256(std::string_view bytes);

}  // namespace xception
