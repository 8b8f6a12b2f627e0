#pragma once

#include "xception/train/lr_range_test.h"
#include "xception/train/start.h"

namespace xception {

/// `xception train --find-lr`: makes a learning-rate range test with the request's config and
/// prints what it suggests; writes find-lr.csv, find-lr.json and, where there is gnuplot,
/// find-lr.svg into `request.out`, or a new folder as a run would get. Returns the exit code: 0, or
/// 128 + n when signal n stopped it, and then nothing is written. Errors (input): as training; the
/// files are there already; several ranks.
int find_learning_rate(const TrainRequest& request, const LrRange& range);

}  // namespace xception
