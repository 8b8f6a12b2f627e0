#pragma once

#include "xception/report/run_set.h"

namespace xception {

/// Gives every variant its label and short label: the model's title with what sets the variants of
/// that model apart, or, where that is too much to be read in every sentence, the runs' folders.
void label_variants(RunSet& set);

}  // namespace xception
