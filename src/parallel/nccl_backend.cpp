#include <c10/cuda/CUDAFunctions.h>

#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include "nccl_watchdog.h"
#include "process_group.h"

namespace xception {

c10::intrusive_ptr<c10d::Backend> make_nccl_backend(const c10::intrusive_ptr<c10d::Store>& store,
                                                    int rank, int size, const torch::Device& device,
                                                    std::chrono::milliseconds timeout) {
  // Streams, workspaces and NCCL's communicator go to the current device.
  c10::cuda::set_device(device.index());
  keep_nccl_watchdog_quiet();
  // Later than Gloo, which knows more.
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = timeout + std::chrono::seconds(60);
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, size, options);
}

}  // namespace xception
