#pragma once

#include <cstdint>

#include "xception/config/keys.h"

namespace xception {

/// The key `model.width`, of the models that can be made narrower or wider than published: a factor
/// on every channel count. width: where it stands, not owned.
[[nodiscard]] Key width_key(double* width);

/// A published channel count times the width: the nearest multiple of 8, which matrix units like,
/// and at least 8.
[[nodiscard]] std::int64_t scaled_channels(std::int64_t channels, double width);

}  // namespace xception
