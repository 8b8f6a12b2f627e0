#pragma once

#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include <exception>
#include <string>

#include "xception/parallel/communicator.h"

namespace xception {

/// What the gradient reducer needs of a communicator: c10d's group on the device. Undefined alone.
[[nodiscard]] c10::intrusive_ptr<c10d::ProcessGroup> device_group(const Communicator& communicator);

/// How what a collective threw goes on, called where it was caught: this rank's own trouble with
/// its device (a fault, too little memory) as it is; anything else as LostContact, because it means
/// that somebody is gone. what: which collective.
[[noreturn]] void rethrow_of_collective(const std::string& what, const std::exception& error);

/// Starts a store on a free port of this machine, for other processes; sets the port.
[[nodiscard]] c10::intrusive_ptr<c10d::Store> host_store(std::uint16_t& port);

/// NCCL's backend for a GPU; where the build has none, an input error.
[[nodiscard]] c10::intrusive_ptr<c10d::Backend> make_nccl_backend(
    const c10::intrusive_ptr<c10d::Store>& store, int rank, int size, const torch::Device& device,
    std::chrono::milliseconds timeout);

}  // namespace xception
