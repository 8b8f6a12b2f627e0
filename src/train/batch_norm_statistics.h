#pragma once

#include <cstdint>

#include "xception/data/loader.h"
#include "xception/models/classifier.h"
#include "xception/train/precision.h"

namespace xception {

/// Computes the running statistics of every BatchNorm anew, as torch.optim.swa_utils.update_bn
/// does: the mean, over the loader's batches, of each batch's mean and unbiased variance. Differs
/// from it in that dropout is off, so that no random numbers are drawn, and in that an auxiliary
/// head, which evaluation doesn't run, keeps its statistics; frozen BatchNorms keep theirs too. The
/// mode of the model and its counts of batches are left as they were. A last batch of one image is
/// left out.
///
/// batch_size: images computed at a time, at least 2.
void recompute_batch_norm(Classifier& model, Loader& loader, const Precision& precision,
                          std::int64_t batch_size);

}  // namespace xception
