#pragma once

#include <zip.h>

#include <cstdint>
#include <map>
#include <string>

#include "xception/core/input_file.h"

namespace xception {

/// Whether a file begins as zip archives do.
[[nodiscard]] bool is_zip(const InputFile& file);

/// The entries of a zip archive that are stored as they are, as PyTorch and Keras write it: nothing
/// can come out longer than it is in the file. Errors (input): damaged, compressed, encrypted.
class ZipArchive {
 public:
  struct Entry {
    std::uint64_t index = 0;
    std::uint64_t bytes = 0;
  };

  /// `file` must outlive this.
  explicit ZipArchive(const InputFile& file);
  ZipArchive(const ZipArchive&) = delete;
  ZipArchive& operator=(const ZipArchive&) = delete;
  ~ZipArchive();

  [[nodiscard]] const std::map<std::string, Entry>& entries() const { return entries_; }

  /// Reads a whole entry, whose length entries() tells.
  void read(const std::string& name, void* to) const;

 private:
  void list();

  const InputFile& file_;
  zip_t* zip_ = nullptr;
  std::map<std::string, Entry> entries_;
};

}  // namespace xception
