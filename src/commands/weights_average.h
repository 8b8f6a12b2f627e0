#pragma once

#include <string>
#include <vector>

namespace xception {

/// `xception weights average`: writes the mean of several files of weights, or run directories, as
/// safetensors, with the first one's metadata. Floating-point tensors are averaged in float32
/// (float64 ones in float64) and written in the first file's dtype; others, such as
/// num_batches_tracked, are the last file's. Errors (input): fewer than two files; other names or
/// shapes than the first file's; `out` exists and may not be replaced.
void average_weights(const std::vector<std::string>& files, const std::string& out, bool overwrite);

}  // namespace xception
