#pragma once

#include "xception/core/state.h"
#include "xception/parallel/communicator.h"

namespace xception {

/// Gives rank 0's state of an object to the other ranks' objects. Called by all ranks.
void share_state(Communicator& ranks, Stateful& object);

}  // namespace xception
