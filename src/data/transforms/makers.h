#pragma once

#include "xception/data/transform.h"

namespace xception {

std::unique_ptr<Transform> make_resize(std::int64_t image_size);
std::unique_ptr<Transform> make_center_crop(std::int64_t image_size);
std::unique_ptr<Transform> make_random_resized_crop(std::int64_t image_size);
std::unique_ptr<Transform> make_pad_and_crop(std::int64_t image_size);
std::unique_ptr<Transform> make_horizontal_flip(std::int64_t image_size);
std::unique_ptr<Transform> make_alternating_flip(std::int64_t image_size);
std::unique_ptr<Transform> make_cutout(std::int64_t image_size);
std::unique_ptr<Transform> make_random_erasing(std::int64_t image_size);
std::unique_ptr<Transform> make_color_jitter(std::int64_t image_size);
std::unique_ptr<Transform> make_rand_augment(std::int64_t image_size);
std::unique_ptr<Transform> make_trivial_augment(std::int64_t image_size);

}  // namespace xception
