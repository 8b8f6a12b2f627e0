#include "zip_archive.h"

#include <fcntl.h>
#include <unistd.h>

#include "xception/core/error.h"
#include "xception/core/readable.h"

namespace xception {

bool is_zip(const InputFile& file) {
  return file.size() >= 4 && file.read(0, 4) == std::string("PK\x03\x04", 4);
}

ZipArchive::ZipArchive(const InputFile& file) : file_(file) {
  const int descriptor = ::fcntl(file.descriptor(), F_DUPFD_CLOEXEC, 0);
  int code = 0;
  if (descriptor >= 0) zip_ = zip_fdopen(descriptor, ZIP_CHECKCONS, &code);
  if (zip_ == nullptr) {
    if (descriptor >= 0) ::close(descriptor);
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const std::string reason = zip_error_strerror(&error);
    zip_error_fini(&error);
    throw input_error("weights", "{}: damaged zip archive: {}; use another copy", file.name(),
                      readable(reason));
  }
  try {
    list();
  } catch (...) {
    zip_discard(zip_);
    throw;
  }
}

ZipArchive::~ZipArchive() {
  zip_discard(zip_);
}

void ZipArchive::read(const std::string& name, void* to) const {
  const auto& entry = entries_.at(name);
  auto* stream = zip_fopen_index(zip_, entry.index, 0);
  const auto bad = [&] {
    const std::string reason = stream != nullptr ? zip_file_strerror(stream) : zip_strerror(zip_);
    if (stream != nullptr) zip_fclose(stream);
    return input_error("weights", "{}: {} in the archive: {}; the file is damaged", file_.name(),
                       readable(name), readable(reason));
  };
  if (stream == nullptr) throw bad();
  auto* place = static_cast<char*>(to);
  for (std::uint64_t left = entry.bytes; left > 0;) {
    const auto got = zip_fread(stream, place, left);
    if (got <= 0) throw bad();
    place += got;
    left -= static_cast<std::uint64_t>(got);
  }
  // The sum is compared at the end.
  char beyond = 0;
  if (zip_fread(stream, &beyond, 1) != 0) throw bad();
  zip_fclose(stream);
}

void ZipArchive::list() {
  std::uint64_t all = 0;
  const auto count = zip_get_num_entries(zip_, 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    zip_stat_t stat;
    zip_stat_init(&stat);
    constexpr auto kNeeded = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE |
                             ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    if (zip_stat_index(zip_, static_cast<zip_uint64_t>(i), ZIP_FL_ENC_RAW, &stat) != 0 ||
        (stat.valid & kNeeded) != kNeeded) {
      throw input_error("weights", "{}: damaged zip archive; use another copy", file_.name());
    }
    if (stat.comp_method != ZIP_CM_STORE || stat.encryption_method != ZIP_EM_NONE ||
        stat.size != stat.comp_size) {
      throw input_error("weights",
                        "{}: {} in the archive is compressed or encrypted, and PyTorch and "
                        "Keras store; unpack weights that were packed",
                        file_.name(), readable(stat.name));
    }
    // Entries may overlap in a hostile archive.
    if (stat.size > file_.size() || all > file_.size() - stat.size) {
      throw input_error("weights", "{}: the archive's files are longer than it is; it is damaged",
                        file_.name());
    }
    all += stat.size;
    if (!entries_.try_emplace(stat.name, Entry{stat.index, stat.size}).second) {
      throw input_error("weights", "{}: {} is in the archive twice; it is damaged", file_.name(),
                        readable(stat.name));
    }
  }
}

}  // namespace xception
