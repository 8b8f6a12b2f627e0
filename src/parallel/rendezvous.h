#pragma once

#include <chrono>
#include <memory>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include "xception/parallel/rank_info.h"

// How the ranks of a job find each other; a part of communicator.cpp.
namespace xception {

/// At least so long a rank waits for the others to start.
inline constexpr std::chrono::milliseconds kMeeting{120'000};

/// Opens the job's store, or with `hosts` starts it at the place's address. Errors (input): nobody
/// listens there in time; the port is taken.
[[nodiscard]] c10::intrusive_ptr<c10d::Store> open_store(const RankInfo& place, bool hosts,
                                                         std::chrono::milliseconds timeout);

/// Where Gloo listens. By default it would take the host name's address, which is often 127.0.1.1:
/// instead, the address on the way to the store, which every rank can reach.
[[nodiscard]] std::shared_ptr<gloo::transport::Device> gloo_device(const RankInfo& place);

}  // namespace xception
