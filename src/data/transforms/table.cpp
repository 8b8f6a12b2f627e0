#include "makers.h"
#include "xception/core/error.h"

#include <fmt/ranges.h>

namespace xception {

const std::vector<TransformEntry>& transform_table() {
  static const std::vector<TransformEntry> table = {
      {"resize", "shorter side to `size` (torchvision Resize, antialias)", make_resize},
      {"center_crop", "square from the middle (torchvision CenterCrop)", make_center_crop},
      {"random_resized_crop", "random box, resized (torchvision RandomResizedCrop)",
       make_random_resized_crop},
      {"pad_and_crop", "random shift over a border (torchvision RandomCrop with padding)",
       make_pad_and_crop},
      {"horizontal_flip", "mirror left and right (torchvision RandomHorizontalFlip)",
       make_horizontal_flip},
      {"alternating_flip", "mirrored in every other epoch, from a random one on (Jordan 2024)",
       make_alternating_flip},
      {"color_jitter", "brightness, contrast, saturation, hue (torchvision ColorJitter)",
       make_color_jitter},
      {"trivial_augment", "one operation of any strength (torchvision TrivialAugmentWide)",
       make_trivial_augment},
      {"rand_augment", "operations of one strength (torchvision RandAugment)", make_rand_augment},
      {"cutout", "a square anywhere set to the mean; at the end (DeVries and Taylor 2017)",
       make_cutout},
      {"random_erasing", "a random box set to a value; at the end (torchvision RandomErasing)",
       make_random_erasing},
  };
  return table;
}

std::vector<std::unique_ptr<Transform>> build_transforms(const nlohmann::json& list,
                                                         const std::string& key,
                                                         std::int64_t image_size) {
  std::vector<std::string> names;
  for (const auto& entry : transform_table()) names.push_back(entry.name);
  std::vector<std::unique_ptr<Transform>> transforms;
  for (std::size_t i = 0; i < list.size(); ++i) {
    auto options = list.at(i);
    const auto name = options.at("name").get<std::string>();
    const auto where = fmt::format("{}[{}]", key, i);
    const TransformEntry* found = nullptr;
    for (const auto& entry : transform_table()) {
      if (entry.name == name) found = &entry;
    }
    if (found == nullptr) {
      const auto near = nearest_name(name, names);
      throw input_error("config", "{}: unknown transform {}; {}", where, name,
                        near.empty() ? fmt::format("expected one of {}", fmt::join(names, ", "))
                                     : fmt::format("did you mean {}?", near));
    }
    options.erase("name");
    auto transform = found->make(image_size);
    std::set<std::string> given;
    read_keys(options, where, name, transform->keys(), given);
    transforms.push_back(std::move(transform));
  }
  return transforms;
}

}  // namespace xception
