#pragma once

#include "xception/data/cifar10.h"
#include "xception/data/dataset.h"

namespace xception {

/// Copies the bytes of CIFAR's records, n x 3,072 and n, into tensors.
[[nodiscard]] inline ImageSet cifar_tensors(const std::vector<std::uint8_t>& images,
                                            const std::vector<std::uint8_t>& labels) {
  const auto bytes = torch::TensorOptions().dtype(torch::kUInt8);
  const auto n = std::ssize(labels);
  // from_blob borrows; the clone owns, and so does another dtype.
  return {torch::from_blob(const_cast<std::uint8_t*>(images.data()),
                           {n, 3, cifar10::kSide, cifar10::kSide}, bytes)
              .clone(),
          torch::from_blob(const_cast<std::uint8_t*>(labels.data()), {n}, bytes).to(torch::kInt64)};
}

}  // namespace xception
