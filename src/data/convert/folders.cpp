#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <system_error>

#include "../in_threads.h"
#include "../shards/shard_names.h"
#include "writers.h"
#include "xception/core/error.h"
#include "xception/core/files.h"

namespace xception {
namespace {

namespace fs = std::filesystem;

/// Writes a file that has its name only once it is whole. A million files aren't synced one by one,
/// but together at the end.
void write_whole(const fs::path& file, const std::string& content) {
  auto temporary = file;
  temporary += ".tmp";
  errno = 0;
  std::ofstream stream(temporary, std::ios::binary);
  stream.write(content.data(), std::ssize(content));
  stream.close();
  if (!stream || ::rename(temporary.c_str(), file.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    throw run_error("data", "{}: cannot be written: {}", file.string(),
                    std::generic_category().message(error));
  }
}

void sync_file_system(const fs::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_CLOEXEC);
  const bool synced = descriptor >= 0 && ::syncfs(descriptor) == 0;
  const int error = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (!synced) {
    throw run_error("data", "{}: cannot be synced: {}", folder.string(),
                    std::generic_category().message(error));
  }
}

/// Whether an image was written before, under one of the names that it may have.
bool is_there(const fs::path& stem) {
  for (const auto* extension : {".png", ".jpg", ".webp"}) {
    auto file = stem;
    std::error_code error;
    if (fs::file_size(file += extension, error) > 0 && !error) return true;
  }
  return false;
}

}  // namespace

void write_folders(const Dataset& dataset, const fs::path& to, const ConvertOptions& options,
                   ConvertCount& count) {
  const auto names = folder_names(dataset.class_names);
  for (const auto subset : {Split::train, Split::validation, Split::test}) {
    const auto size = dataset.images->size(subset);
    if (size == 0) continue;
    const auto folder = to / subset_folder(subset);
    for (const auto& name : names) {
      std::error_code error;
      fs::create_directories(folder / name, error);
      if (error) {
        throw run_error("data", "{}: cannot be made: {}", (folder / name).string(),
                        error.message());
      }
    }
    for_each_in_threads(static_cast<std::size_t>(size), [&](std::size_t i) {
      const auto index = static_cast<std::int64_t>(i);
      const auto label = static_cast<std::size_t>(dataset.images->label(subset, index));
      auto file = folder / names[label] / fmt::format("{:08}", index);
      if (is_there(file)) {
        count.add_kept(1);
        return;
      }
      const auto image = image_file(dataset, subset, index, options.image_size);
      write_whole(file += "." + image.extension, image.bytes);
      count.add_written(image);
    });
  }
  sync_file_system(to);
}

}  // namespace xception
