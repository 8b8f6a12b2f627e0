#include "process_group.h"
#include "xception/core/error.h"

namespace xception {

c10::intrusive_ptr<c10d::Backend> make_nccl_backend(const c10::intrusive_ptr<c10d::Store>&, int,
                                                    int, const torch::Device&,
                                                    std::chrono::milliseconds) {
  throw input_error("parallel",
                    "this build has no NCCL, so several GPUs can't train together; use one GPU, or "
                    "build with CUDA and NCCL (scripts/setup.sh)");
}

}  // namespace xception
