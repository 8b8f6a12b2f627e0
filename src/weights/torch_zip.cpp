#include <fcntl.h>
#include <unistd.h>
#include <zip.h>

#include <memory>
#include <set>

#include "pickle.h"
#include "state_dict.h"
#include "torch_checkpoint.h"
#include "xception/core/error.h"
#include "xception/core/readable.h"

namespace xception {
namespace {

constexpr std::uint64_t kLongestPickle = 64 << 20;

struct Entry {
  zip_uint64_t index = 0;
  std::uint64_t bytes = 0;
};

/// The entries of a zip archive that are stored as they are, as torch.save does it: nothing can
/// come out longer than it is in the file.
class Archive {
 public:
  explicit Archive(const InputFile& file) : file_(file) {
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
  Archive(const Archive&) = delete;
  Archive& operator=(const Archive&) = delete;
  ~Archive() { zip_discard(zip_); }

  [[nodiscard]] const std::map<std::string, Entry>& entries() const { return entries_; }

  /// Reads a whole entry, whose length entries() tells.
  void read(const std::string& name, void* to) const {
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

 private:
  void list() {
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
        throw input_error(
            "weights",
            "{}: {} in the archive is compressed or encrypted, and torch.save stores; "
            "unpack weights that were packed",
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

  const InputFile& file_;
  zip_t* zip_ = nullptr;
  std::map<std::string, Entry> entries_;
};

/// The folder within the archive, `archive/`, that holds data.pkl.
std::string folder_of(const Archive& archive, const InputFile& file) {
  constexpr std::string_view kPickle = "data.pkl";
  std::string folder;
  std::size_t found = 0;
  for (const auto& [name, entry] : archive.entries()) {
    const auto slash = name.find('/');
    if (slash == std::string::npos || name.substr(slash + 1) != kPickle) continue;
    folder = name.substr(0, slash + 1);
    ++found;
  }
  if (found != 1) {
    const bool keras = archive.entries().contains("model.weights.h5");
    throw input_error("weights", "{}: a zip archive, but not of torch.save: {}", file.name(),
                      keras ? "it is Keras's; unpack its model.weights.h5"
                            : fmt::format("{} times data.pkl in it", found));
  }
  return folder;
}

std::string read_text(const Archive& archive, const std::string& name, std::uint64_t longest,
                      const InputFile& file) {
  const auto bytes = archive.entries().at(name).bytes;
  if (bytes > longest) {
    throw input_error("weights", "{}: {} in the archive has {} bytes, expected at most {}",
                      file.name(), readable(name), bytes, longest);
  }
  std::string text(bytes, '\0');
  archive.read(name, text.data());
  return text;
}

}  // namespace

bool is_zip(const InputFile& file) {
  return file.size() >= 4 && file.read(0, 4) == std::string("PK\x03\x04", 4);
}

TorchCheckpoint read_torch_zip(const InputFile& file) {
  const auto archive = std::make_shared<Archive>(file);
  const auto folder = folder_of(*archive, file);
  if (archive->entries().contains(folder + "constants.pkl")) {
    throw input_error("weights", "{}: a TorchScript program; save model.state_dict()", file.name());
  }
  constexpr std::uint64_t kLongestWord = 64;
  if (archive->entries().contains(folder + "byteorder") &&
      read_text(*archive, folder + "byteorder", kLongestWord, file) != "little") {
    throw input_error("weights", "{}: its bytes are in big-endian order, expected little-endian",
                      file.name());
  }
  TorchCheckpoint checkpoint{.format = "PyTorch zip archive"};
  const auto text = read_text(*archive, folder + "data.pkl", kLongestPickle, file);
  Pickle pickle(file.name(), text);
  add_state_dict(pickle.read(), file, checkpoint);
  for (const auto& [key, storage] : checkpoint.storages) {
    const auto found = archive->entries().find(folder + "data/" + key);
    if (found == archive->entries().end() || found->second.bytes != storage.bytes) {
      throw input_error("weights", "{}: storage {} has {} bytes in the archive, expected {}",
                        file.name(), readable(key),
                        found == archive->entries().end() ? 0 : found->second.bytes, storage.bytes);
    }
  }
  checkpoint.read = [archive, folder](const std::string& key, void* to) {
    archive->read(folder + "data/" + key, to);
  };
  return checkpoint;
}

}  // namespace xception
