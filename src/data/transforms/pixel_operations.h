#pragma once

#include <torch/types.h>

#include <vector>

namespace xception {

/// An operation on the pixels of an image, with one value. All equal torchvision v2's on uint8
/// tensors.
enum class PixelOperation {
  identity,
  brightness,     ///< adjust_brightness, by the factor `value`
  contrast,       ///< adjust_contrast
  saturation,     ///< adjust_saturation
  sharpness,      ///< adjust_sharpness
  hue,            ///< adjust_hue, -0.5 .. 0.5
  posterize,      ///< to so many bits
  solarize,       ///< from the threshold `value`, 0 .. 255, on
  auto_contrast,  ///< autocontrast
  equalize,
  shear_x,  ///< affine by a shear of atan(value), about the corner; nearest pixel, black outside
  shear_y,  ///< as shear_x
  translate_x,  ///< affine, whole px
  translate_y,
  rotate,  ///< rotate, degrees
};

/// Does one operation to each image, as its number says. images: uint8 (N, H, W, 3), which may be
/// changed. operations, values: float32 (N), the PixelOperation's number and its value, on the same
/// device. possible: those that occur. Each of these is computed for the whole batch, since nothing
/// is decided on the host; on a CPU only what one of the images needs is.
[[nodiscard]] torch::Tensor apply_pixel_operations(const torch::Tensor& images,
                                                   const torch::Tensor& operations,
                                                   const torch::Tensor& values,
                                                   const std::vector<PixelOperation>& possible);

}  // namespace xception
