#pragma once

#include <string>

#include "xception/train/training.h"

namespace xception {

/// Puts the weights of a file or of a run directory's best checkpoint into the model of a training
/// that begins, on all ranks, and says what was taken; a head of another number of classes keeps
/// its fresh weights. Only rank 0 reads. Errors (input): as read_weights and fit_weights.
void load_initial_weights(Training& training, const std::string& file);

}  // namespace xception
