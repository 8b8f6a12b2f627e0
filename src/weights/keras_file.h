#pragma once

#include "xception/core/input_file.h"

namespace xception {

/// Whether a file begins as HDF5's do.
[[nodiscard]] bool is_hdf5(const InputFile& file);

/// Reads the weights of a Keras model from HDF5 (libhdf5, with which a hostile file may do
/// anything: call it through InChild) and writes them to a descriptor in the safetensors format.
/// Names are `LAYER/VARIABLE`: `block1_conv1/kernel`, `conv2d/kernel`,
/// `batch_normalization/moving_mean`. Both layouts are known: that of Keras's published files and
/// `model.save("a.h5")` (attributes layer_names and weight_names), and Keras 3's `a.weights.h5`
/// (numbered variables).
/// `__metadata__` has `order`, the names in the model's order with a line break after each, and
/// `format`. Errors (input).
void write_keras_weights(const InputFile& file, int output);

}  // namespace xception
