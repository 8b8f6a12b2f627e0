#pragma once

#include <functional>
#include <memory>

#include "xception/parallel/communicator.h"

namespace xception {

/// A port of this machine that nobody listens at.
[[nodiscard]] std::uint16_t free_port();

/// Runs `rank` on so many threads, each a rank with a communicator of its own over Gloo on the CPU,
/// and throws what one of them threw. With one rank, alone.
void run_ranks(int size, const std::function<void(const std::shared_ptr<Communicator>&)>& rank);

}  // namespace xception
