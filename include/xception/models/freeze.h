#pragma once

#include <string>
#include <vector>

#include "xception/models/classifier.h"

namespace xception {

/// Freezes a part of a network for fine-tuning: the parameters that a pattern means (means_name)
/// get no gradients and no updates, and a BatchNorm whose parameters are both frozen normalizes
/// with its running statistics in training too, and leaves them as they are. Returns how many
/// values are frozen. Errors (input): a pattern that means no parameter, with the nearest names; no
/// parameter is left to train.
std::int64_t freeze(Classifier& network, const std::vector<std::string>& patterns);

/// Has every BatchNorm normalize with its running statistics from here on, in training too, and
/// leave them as they are. Its weight and bias are trained on.
void freeze_batch_norms(Classifier& network);

}  // namespace xception
