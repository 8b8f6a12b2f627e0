#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "openers.h"
#include "xception/core/error.h"
#include "xception/core/files.h"
#include "xception/core/paths.h"

namespace xception {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLayout =
    "expected train/CLASS/*.jpg, perhaps val (validation, valid) and test, or CLASS/*.jpg";

/// The images of a subset, sorted, in few bytes each: a name in one long string, and its place.
struct Images {
  fs::path folder = {};
  std::string names = {};                 ///< paths below their class's folder, one after another
  std::vector<std::uint64_t> ends = {};   ///< of an image's name
  std::vector<std::int64_t> firsts = {};  ///< the first image of a class, and the end of all

  [[nodiscard]] std::int64_t size() const { return std::ssize(ends); }
  [[nodiscard]] std::int64_t label(std::int64_t index) const {
    return std::upper_bound(firsts.begin(), firsts.end(), index) - firsts.begin() - 1;
  }
  [[nodiscard]] std::string_view name(std::int64_t index) const {
    const auto i = static_cast<std::size_t>(index);
    const auto begin = i == 0 ? 0 : ends[i - 1];
    return std::string_view(names).substr(begin, ends[i] - begin);
  }
};

class FolderCatalog : public ImageCatalog {
 public:
  FolderCatalog(std::vector<std::string> classes, std::map<Split, Images> subsets)
      : classes_(std::move(classes)), subsets_(std::move(subsets)) {}

  [[nodiscard]] std::int64_t size(Split subset) const override {
    return subsets_.contains(subset) ? subsets_.at(subset).size() : 0;
  }
  [[nodiscard]] std::int64_t label(Split subset, std::int64_t index) const override {
    return subsets_.at(subset).label(index);
  }
  [[nodiscard]] RgbImage read(Split subset, std::int64_t index) const override {
    return read_image(path(subset, index));
  }
  [[nodiscard]] std::unique_ptr<OpenImage> open(Split subset, std::int64_t index) const override {
    return open_image(path(subset, index));
  }
  [[nodiscard]] EncodedImage encoded(Split subset, std::int64_t index) const override {
    return {read_file(path(subset, index), "data")};
  }

 private:
  [[nodiscard]] fs::path path(Split subset, std::int64_t index) const {
    const auto& images = subsets_.at(subset);
    return images.folder / classes_[static_cast<std::size_t>(images.label(index))] /
           images.name(index);
  }

  std::vector<std::string> classes_;  ///< folders
  std::map<Split, Images> subsets_;
};

/// What a folder holds, in no order.
struct Listing {
  std::vector<std::string> folders, files;  ///< names
};

Listing list(const fs::path& folder) {
  Listing found;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    auto name = at->path().filename().string();
    if (name.starts_with('.')) continue;
    std::error_code unknown;  // a dangling link is told of when it is read
    (at->is_directory(unknown) ? found.folders : found.files).push_back(std::move(name));
  }
  if (error) {
    throw input_error("data", "{}: cannot be read: {}; change its permissions or move it away",
                      folder.string(), error.message());
  }
  std::sort(found.folders.begin(), found.folders.end());
  return found;
}

/// Looks through folders, each once, wherever links lead.
class Scan {
 public:
  /// Adds the images of a class's folder and those below it: folder by folder in the order of their
  /// paths, as torchvision's ImageFolder has them. Returns a text of names and sizes.
  std::string add_class(const fs::path& folder, Images& images) {
    seen_ = {};
    for (auto above = folder.parent_path(); seen_.size() < 2; above = above.parent_path()) {
      (void)is_new(above.empty() ? "." : above);  // a link from a class to the whole set
      if (above == above.parent_path()) break;
    }
    std::map<std::string, std::vector<std::string>> files;  // by folder
    visit(folder, "", files);
    std::string text;
    for (auto& [below, names] : files) {
      std::sort(names.begin(), names.end());
      for (const auto& name : names) {
        images.names += below + name;
        images.ends.push_back(images.names.size());
        std::error_code error;
        const auto size = fs::file_size(folder / (below + name), error);
        text += fmt::format("{}{}{}{}\n", below, name, '\0', error ? 0 : size);
      }
    }
    return text;
  }

  void leave_out(const std::string& name) {
    const auto ending = fs::path(name).extension().string();
    ++left_out_[ending.empty() ? "without an ending" : ending];
  }

  /// In one line; empty: nothing was left out.
  [[nodiscard]] std::string left_out() const {
    if (left_out_.empty()) return {};
    std::int64_t sum = 0;
    std::vector<std::pair<std::int64_t, std::string>> kinds;
    for (const auto& [ending, count] : left_out_) sum += count, kinds.emplace_back(-count, ending);
    std::sort(kinds.begin(), kinds.end());
    std::vector<std::string> words;
    for (const auto& [count, ending] : kinds) {
      if (words.size() < 5) words.push_back(fmt::format("{} {}", -count, ending));
    }
    return fmt::format("left out {} file{} whose name doesn't end in {}: {}{}", sum,
                       sum == 1 ? "" : "s", image_extensions(), fmt::join(words, ", "),
                       words.size() < kinds.size() ? ", ..." : "");
  }

 private:
  bool is_new(const fs::path& folder) {
    struct stat status {};
    return ::stat(folder.c_str(), &status) != 0 ||
           seen_.emplace(status.st_dev, status.st_ino).second;
  }

  void visit(const fs::path& folder, const std::string& below,
             std::map<std::string, std::vector<std::string>>& files) {
    if (!is_new(folder)) return;
    auto found = list(folder);
    for (auto& name : found.files) {
      if (has_image_extension(name)) {
        files[below].push_back(std::move(name));
      } else {
        leave_out(name);
      }
    }
    for (const auto& name : found.folders) visit(folder / name, below + name + '/', files);
  }

  std::set<std::pair<dev_t, ino_t>> seen_;  ///< of one class
  std::map<std::string, std::int64_t> left_out_;
};

/// A class's name as text, which goes into JSON: bytes that aren't UTF-8 as %XX.
std::string class_name(const std::string& folder) {
  const auto text = text_of_path(fs::path("/") / folder);
  constexpr std::string_view kUri = "file:///";
  return text.substr(text.starts_with(kUri) ? kUri.size() : 1);
}

bool folder_is_there(const fs::path& folder) {
  std::error_code error;
  return fs::is_directory(folder, error);
}

/// The folders of the subsets; the set's own folder where it has no `train`.
std::map<Split, fs::path> subset_folders(const fs::path& folder) {
  if (!folder_is_there(folder / "train")) return {{Split::train, folder}};
  std::map<Split, fs::path> found = {{Split::train, folder / "train"}};
  for (const auto* name : {"val", "validation", "valid"}) {
    if (!folder_is_there(folder / name)) continue;
    const auto [other, added] = found.emplace(Split::validation, folder / name);
    if (!added) {
      throw input_error("data", "{}: found both {} and {}, expected one: move the other away",
                        folder.string(), other->second.filename().string(), name);
    }
  }
  if (folder_is_there(folder / "test")) found.emplace(Split::test, folder / "test");
  return found;
}

std::vector<std::string> class_folders(const fs::path& folder, Scan& scan) {
  const auto found = list(folder);
  for (const auto& name : found.files) scan.leave_out(name);
  return found.folders;
}

void check_classes(const fs::path& folder, const std::vector<std::string>& classes) {
  if (classes.empty()) {
    throw input_error("data", "{}: found no class folders, {}", folder.string(), kLayout);
  }
  if (classes.size() == 1) {
    throw input_error("data",
                      "{}: found one folder, {}, expected one for each of at least two classes: is "
                      "the data set in that folder?",
                      folder.string(), classes.front());
  }
}

/// Reads one subset, class by class; returns its part of the checksum.
std::string read_subset(const fs::path& folder, const std::vector<std::string>& classes,
                        bool trained, Scan& scan, Images& images) {
  images.folder = folder;
  const auto own = trained ? classes : class_folders(folder, scan);
  for (const auto& name : own) {
    if (std::binary_search(classes.begin(), classes.end(), name)) continue;
    throw input_error("data",
                      "{}: found class {}, which has no folder of training images; expected the "
                      "classes of train: rename the folder or move it away",
                      folder.string(), name);
  }
  std::string sums;
  for (const auto& name : classes) {
    const auto first = images.size();
    images.firsts.push_back(first);
    if (!std::binary_search(own.begin(), own.end(), name)) continue;
    sums += name + '\0' + sha256(scan.add_class(folder / name, images)) + '\n';
    if (trained && images.size() == first) {
      throw input_error("data",
                        "{}: found no image ({}), expected some of this class: add them or move "
                        "the folder away",
                        (folder / name).string(), image_extensions());
    }
  }
  images.firsts.push_back(images.size());
  images.names.shrink_to_fit();
  return sums;
}

/// Whether there is an image in a folder or, so many levels down, below it.
bool holds_images(const fs::path& folder, int levels) {
  std::error_code error;
  std::vector<fs::path> folders;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const auto name = at->path().filename().string();
    if (name.starts_with('.')) continue;
    if (has_image_extension(name)) return true;
    std::error_code unknown;
    if (levels > 0 && at->is_directory(unknown)) folders.push_back(at->path());
  }
  return std::any_of(folders.begin(), folders.end(),
                     [&](const auto& below) { return holds_images(below, levels - 1); });
}

}  // namespace

bool is_folder(const fs::path& folder) {
  const auto parent = folder_is_there(folder / "train") ? folder / "train" : folder;
  std::error_code error;
  for (fs::directory_iterator at(parent, error), end; !error && at != end; at.increment(error)) {
    std::error_code unknown;
    if (!at->path().filename().string().starts_with('.') && at->is_directory(unknown) &&
        holds_images(at->path(), 3)) {
      return true;
    }
  }
  return false;
}

Dataset open_folder(const DataConfig& config) {
  const fs::path folder = config.dir.empty() ? fs::path("data") : path_of_text(config.dir);
  if (!folder_is_there(folder)) {
    throw input_error("data", "{}: no such folder, {}", folder.string(), kLayout);
  }
  Scan scan;
  const auto folders = subset_folders(folder);
  const auto classes = class_folders(folders.at(Split::train), scan);
  check_classes(folders.at(Split::train), classes);
  std::map<Split, Images> subsets;
  std::string sums;
  for (const auto& [subset, of] : folders) {
    const bool trained = subset == Split::train;
    sums += split_name(subset) + '\n' + read_subset(of, classes, trained, scan, subsets[subset]);
  }
  std::vector<std::string> names;
  for (const auto& name : classes) names.push_back(class_name(name));
  std::error_code error;
  const auto whole = fs::canonical(folder, error);
  Dataset dataset{.images = std::make_shared<FolderCatalog>(classes, std::move(subsets)),
                  .class_names = std::move(names),
                  .name = class_name(error ? folder.filename() : whole.filename()),
                  .checksum = sha256(sums),
                  .folder = folder};
  if (auto note = scan.left_out(); !note.empty()) dataset.notes.push_back(std::move(note));
  return dataset;
}

}  // namespace xception
