#pragma once

#include <string>
#include <vector>

#include "xception/data/dataset.h"
#include "xception/parallel/communicator.h"

// Whether ranks fit together; a part of start.cpp.
namespace xception {

/// What a rank says of itself.
struct RankReport {
  std::string host;
  std::string device;
  std::string identity;  ///< of its GPU
  std::string program;   ///< version and commit
  std::string libtorch;
  std::string checksum;  ///< of its data
  std::string data;      ///< where that lies
};

/// Every rank's report, by rank. Errors (input): other data or another program than rank 0's; a GPU
/// that two ranks have.
[[nodiscard]] std::vector<RankReport> check_ranks(Communicator& ranks, const Dataset& dataset,
                                                  const torch::Device& device);

}  // namespace xception
