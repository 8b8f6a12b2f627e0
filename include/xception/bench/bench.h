#pragma once

#include "xception/bench/plan.h"

namespace xception {

/// Checks the request, measures, prints the table, writes the files. Returns the exit code: 0; 1 if
/// no case could be measured; 128 + n when signal n stopped it, after what was measured so far has
/// been printed and written. Errors: input before the first step, run afterwards.
int run_bench(const BenchRequest& request);

}  // namespace xception
