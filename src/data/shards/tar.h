#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace xception {

/// Bytes that can be read at any place, such as a file's.
struct ByteSource {
  std::string name;  ///< in messages
  std::uint64_t size = 0;
  /// Reads `count` bytes at `offset`, which lie inside. Throws if it can't.
  std::function<void(std::uint64_t offset, char* to, std::size_t count)> read;
};

/// A regular file in an archive. Its name is only ever a key: nothing is extracted.
struct TarMember {
  std::string name;
  std::uint64_t offset = 0;  ///< of its bytes in the archive
  std::uint64_t size = 0;
};

/// Lists an archive's regular files with the places of their bytes, reading little more than the
/// headers: ustar, pax and GNU's long names. Links, folders and devices are passed over.
///
/// libarchive isn't used because it doesn't say where a member's bytes begin, which is all that is
/// wanted here, and would bring its readers of a dozen other formats to hostile files.
///
/// Errors (input), in every function: a wrong checksum or number, a member that goes beyond the
/// end, an archive without its end mark, sparse members, members of several volumes, an extended
/// header over 1 MiB.
class TarReader {
 public:
  explicit TarReader(const ByteSource& source) : source_(source) {}

  /// Goes to the next regular file; false at the end.
  [[nodiscard]] bool next(TarMember& member);

  /// A small member's bytes. Errors (input): more than `most`.
  [[nodiscard]] std::string content(const TarMember& member, std::uint64_t most);

 private:
  struct Extended;
  void read(std::uint64_t offset, char* to, std::size_t count);
  /// Reads the bytes of an extended header and passes over it.
  [[nodiscard]] std::string extension(std::uint64_t size);
  void read_extended(char type, std::uint64_t size, Extended& extended);
  [[noreturn]] void fail(std::uint64_t at, std::string_view what) const;

  const ByteSource& source_;
  std::uint64_t place_ = 0;  ///< of the next header
  std::string buffer_;       ///< a few bytes from buffer_start_ on
  std::uint64_t buffer_start_ = 0;
};

}  // namespace xception
