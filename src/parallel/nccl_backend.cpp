#include <c10/cuda/CUDAFunctions.h>

#include <cstdlib>

#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include "process_group.h"

namespace xception {

c10::intrusive_ptr<c10d::Backend> make_nccl_backend(const c10::intrusive_ptr<c10d::Store>& store,
                                                    int rank, int size, const torch::Device& device,
                                                    std::chrono::milliseconds timeout) {
  // Streams, workspaces and NCCL's communicator go to the current device.
  c10::cuda::set_device(device.index());
  // On an error NCCL's watchdog shall abort the communicator and not the process, which has to say
  // first what happened; and it shall be later than Gloo, which knows more.
  ::setenv("TORCH_NCCL_ASYNC_ERROR_HANDLING", "2", /*overwrite=*/1);
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = timeout + std::chrono::seconds(60);
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, size, options);
}

}  // namespace xception
