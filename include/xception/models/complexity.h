#pragma once

#include <cstdint>

#include "xception/models/classifier.h"

namespace xception {

/// The cost of a model for one image in evaluation mode.
struct Complexity {
  std::int64_t parameters = 0;     ///< all, frozen or not
  std::int64_t multiply_adds = 0;  ///< of convolutions and linear layers (biases not counted)
  std::int64_t activations = 0;    ///< elements of the outputs of those layers
};

/// Counts by evaluating one image of `image_size` px, on the model's device and in its dtype, while
/// listening to the convolutions and linear layers that LibTorch executes: whatever the model is
/// made of, there is no table to keep. (LibTorch's C++ library can't run convolutions and
/// BatchNorm on the device `meta`, so the image is really computed, which takes under a second on a
/// CPU.)
///
/// `model` comes back in the mode that it had, its buffers and the generators untouched.
/// Layers that run as one fused kernel of our own are not seen: count the reference form.
[[nodiscard]] Complexity count_complexity(Classifier& model, std::int64_t image_size);

}  // namespace xception
