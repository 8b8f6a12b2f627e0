#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace xception {

/// Writes a tar file (ustar) of small members with short names, whose bytes are a function of these
/// alone. It has its name only once it is whole. Errors (run): cannot be written.
class TarWriter {
 public:
  explicit TarWriter(std::filesystem::path file);
  /// Removes what wasn't finished.
  ~TarWriter();
  TarWriter(const TarWriter&) = delete;
  TarWriter& operator=(const TarWriter&) = delete;

  /// name: at most 99 bytes.
  void add(std::string_view name, std::string_view content);
  /// Writes the end, syncs and gives the file its name.
  void finish();

 private:
  void write(std::string_view bytes);
  [[noreturn]] void fail(int error) const;

  std::filesystem::path file_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;
  std::string buffer_;
  std::uint64_t written_ = 0;
};

}  // namespace xception
