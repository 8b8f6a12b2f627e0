#include "../idx.h"

#include <algorithm>

#include "openers.h"
#include "xception/core/error.h"
#include "xception/core/paths.h"

namespace xception {
namespace {

using Names = std::vector<std::string>;

const Names& fashion_names() {
  static const Names names = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                              "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
  return names;
}

/// Of Fashion-MNIST's training images, as IdxFiles has it.
constexpr const char* kFashionSha256 =
    "ca73d32af469bf89d31900b77677ffae73c3d3411b2a3b18ded78606423e450d";

/// What is known of a set of this layout by its files or its folder's name.
struct Known {
  std::string name;
  Names classes;  ///< empty: numbers
  bool original = true;
};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

Names characters(const std::string& text) {
  Names names;
  for (const char c : text) names.emplace_back(1, c);
  return names;
}

/// EMNIST says in the files' names which of its sets they are.
Known emnist(const std::string& set) {
  constexpr const char* kDigits = "0123456789";
  constexpr const char* kCapitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  Known known{.name = fmt::format("EMNIST {}", set), .classes = {}};
  if (set == "byclass") {
    known.classes = characters(fmt::format("{}{}abcdefghijklmnopqrstuvwxyz", kDigits, kCapitals));
  } else if (set == "bymerge" || set == "balanced") {  // capitals stand for letters that look alike
    known.classes = characters(fmt::format("{}{}abdefghnqrt", kDigits, kCapitals));
  } else if (set == "letters") {  // counted from 1
    known.classes = characters("?abcdefghijklmnopqrstuvwxyz");
    known.classes[0] = "none";
  }
  return known;
}

Known recognize(const IdxFiles& files) {
  if (files.train_images_sha256 == kFashionSha256) return {"Fashion-MNIST", fashion_names()};
  constexpr std::string_view kEmnist = "emnist-";
  if (files.prefix.starts_with(kEmnist)) {
    return emnist(files.prefix.substr(kEmnist.size(), files.prefix.size() - kEmnist.size() - 1));
  }
  // torchvision's are FashionMNIST/raw, KMNIST/raw.
  std::error_code error;
  auto folder = std::filesystem::absolute(files.folder, error).lexically_normal();
  if (folder.filename().empty()) folder = folder.parent_path();
  const auto name = lower((folder.parent_path().filename() / folder.filename()).string());
  if (name.find("fashion") != std::string::npos) {
    return {"Fashion-MNIST's layout, not the original files", fashion_names(), false};
  }
  if (name.find("kmnist") != std::string::npos || name.find("kuzushiji") != std::string::npos) {
    return {"KMNIST", {"o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"}};
  }
  return {"MNIST's layout", {}};
}

ImageSet to_tensors(const IdxSplit& split) {
  if (split.labels.sizes.empty()) return {};
  const auto bytes = torch::TensorOptions().dtype(torch::kUInt8);
  const auto copy = [&](const IdxArray& array) {
    return torch::from_blob(const_cast<std::uint8_t*>(array.values.data()), array.sizes, bytes)
        .clone();
  };
  // Gray three times, in the memory of once.
  return {copy(split.images).unsqueeze(1).expand({-1, 3, -1, -1}),
          copy(split.labels).to(torch::kInt64)};
}

}  // namespace

bool is_idx(const std::filesystem::path& folder) {
  return !find_idx_folder(folder).empty();
}

Dataset open_idx(const DataConfig& config) {
  const auto dir = config.dir.empty() ? std::filesystem::path("data") : path_of_text(config.dir);
  const auto files = read_idx(dir);
  auto known = recognize(files);
  std::size_t classes = 0;
  for (const auto* split : {&files.train, &files.test}) {
    for (const auto label : split->labels.values)
      classes = std::max<std::size_t>(classes, label + 1U);
  }
  // Other labels than the names are for: numbers.
  if (known.classes.size() < classes) known.classes.clear();
  if (known.classes.empty()) {
    for (std::size_t i = 0; i < classes; ++i) known.classes.push_back(std::to_string(i));
  }
  return {.images = in_memory(to_tensors(files.train), to_tensors(files.test)),
          .class_names = known.classes,
          .name = known.name,
          .original = known.original,
          .checksum = files.checksum,
          .folder = files.folder};
}

}  // namespace xception
