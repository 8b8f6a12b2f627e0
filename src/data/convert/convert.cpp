#include "xception/data/convert.h"

#include <algorithm>
#include <array>
#include <set>
#include <system_error>

#include "../image_formats.h"
#include "../in_threads.h"
#include "../room.h"
#include "resized.h"
#include "writers.h"
#include "xception/core/error.h"
#include "xception/core/files.h"
#include "xception/core/folder_lock.h"
#include "xception/core/json.h"

namespace xception {
namespace {

namespace fs = std::filesystem;

/// What the folder was made from.
constexpr const char* kRecordFile = "conversion.json";

constexpr std::array<Split, 3> kSubsets = {Split::train, Split::validation, Split::test};

std::string extension_of(std::string_view bytes) {
  if (bytes.starts_with("\xFF\xD8\xFF")) return "jpg";
  if (bytes.starts_with("\x89PNG")) return "png";
  if (bytes.starts_with("RIFF") && bytes.substr(8).starts_with("WEBP")) return "webp";
  throw input_error(kRoom, "neither JPEG, PNG nor WebP");
}

/// Begins a conversion, or goes on with one of the same data set and options.
void claim_folder(const fs::path& to, const nlohmann::ordered_json& record) {
  const auto file = to / kRecordFile;
  std::error_code error;
  if (fs::exists(file, error)) {
    if (read_json(file, kRoom) == nlohmann::json(record)) return;
    throw input_error(kRoom,
                      "{}: made from another data set or with other options ({}): choose another "
                      "folder, or remove this one",
                      to.string(), kRecordFile);
  }
  for (const auto& entry : fs::directory_iterator(to, error)) {
    if (entry.path().filename().string().starts_with('.')) continue;  // the lock
    throw input_error(kRoom, "{}: isn't empty and has no {}: choose another folder", to.string(),
                      kRecordFile);
  }
  write_json(file, record);
}

}  // namespace

ConvertCount::ConvertCount(const Dataset& dataset, const ConvertProgress& progress)
    : progress_(progress) {
  for (const auto subset : kSubsets) total_ += dataset.images->size(subset);
}

void ConvertCount::add_kept(std::int64_t images) {
  const std::lock_guard lock(mutex_);
  done_.images += images;
  done_.kept += images;
  report();
}

void ConvertCount::add_written(const ImageFile& image) {
  const std::lock_guard lock(mutex_);
  ++done_.images;
  done_.copied += image.copied ? 1 : 0;
  done_.resized += image.resized ? 1 : 0;
  report();
}

void ConvertCount::report() {
  if (progress_) progress_(done_.images, total_);
}

Converted ConvertCount::result() const {
  const std::lock_guard lock(mutex_);
  return done_;
}

ImageFile image_file(const Dataset& dataset, Split subset, std::int64_t index,
                     std::int64_t image_size) {
  ImageFile file;
  naming_the_image(dataset, subset, index, [&] {
    file.bytes = dataset.images->encoded(subset, index).bytes;
    file.copied = !file.bytes.empty();
    if (!file.copied || image_size > 0) {
      auto image = dataset.images->read(subset, index);
      file.resized = image_size > 0 && std::min(image.height, image.width) > image_size;
      if (file.resized) image = with_shorter_side(image, image_size);
      if (file.resized && file.copied && extension_of(file.bytes) == "jpg") {
        file.bytes = encode_jpeg(image);
      } else if (file.resized || !file.copied) {
        file.bytes = encode_png(image);
      }
      file.copied = file.copied && !file.resized;
    }
    file.extension = extension_of(file.bytes);
  });
  return file;
}

std::string subset_folder(Split subset) {
  return subset == Split::validation ? "val" : split_name(subset);
}

std::vector<std::string> folder_names(const std::vector<std::string>& class_names) {
  constexpr std::size_t kLongest = 200;  // bytes; file systems take 255
  std::vector<std::string> names;
  std::set<std::string> taken;
  for (auto name : class_names) {
    for (auto& c : name) {
      const bool harmless = static_cast<unsigned char>(c) > ' ' && c != '/' && c != '\\' &&
                            c != ':' && c != '*' && c != '?' && c != '"' && c != '<' && c != '>' &&
                            c != '|' && c != '\x7F';
      if (!harmless && c != ' ') c = '_';
    }
    if (name.size() > kLongest) name.resize(kLongest);
    if (name.empty() || name.front() == '.' || name.front() == ' ') name.insert(0, 1, '_');
    auto unique = name;
    for (int i = 2; !taken.insert(unique).second; ++i) unique = fmt::format("{}-{}", name, i);
    names.push_back(unique);
  }
  return names;
}

const std::vector<std::string>& convert_formats() {
  static const std::vector<std::string> formats = {"shards", "cifar10", "folder"};
  return formats;
}

Converted convert_dataset(const Dataset& dataset, const fs::path& to, const ConvertOptions& options,
                          const ConvertProgress& progress) {
  const auto& formats = convert_formats();
  if (std::find(formats.begin(), formats.end(), options.format) == formats.end()) {
    throw input_error(kRoom, "--format {}: expected one of {}", options.format,
                      fmt::join(formats, ", "));
  }
  if (options.format == "cifar10" && options.image_size > 0) {
    throw input_error(kRoom,
                      "--image-size {}: images of the layout cifar10 have 32 x 32 px; leave it out",
                      options.image_size);
  }
  ConvertCount count(dataset, progress);
  if (options.format == "cifar10") {
    write_cifar10_layout(dataset, to, count);
    return count.result();
  }
  std::error_code error;
  fs::create_directories(to, error);
  if (error) throw run_error(kRoom, "{}: cannot be made: {}", to.string(), error.message());
  const FolderLock lock(to, to.string() + ": another process is writing to it");
  nlohmann::ordered_json record = {{"format", options.format},
                                   {"from", dataset.name},
                                   {"checksum", dataset.checksum},
                                   {"classes", dataset.class_names}};
  if (options.format == "shards") {
    record["shard_images"] = options.shard_images;
    record["keep_order"] = options.keep_order;
  }
  if (options.image_size > 0) record["image_size"] = options.image_size;
  claim_folder(to, record);
  options.format == "shards" ? write_shards(dataset, to, options, count)
                             : write_folders(dataset, to, options, count);
  return count.result();
}

}  // namespace xception
