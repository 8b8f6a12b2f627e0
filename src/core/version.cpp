#include "xception/core/version.h"

#include "version_data.h"

namespace xception {

Version version() noexcept {
  return {
      .version = XCEPTION_VERSION,
      .git_commit = XCEPTION_GIT_COMMIT,
      .libtorch = XCEPTION_LIBTORCH_VERSION,
      .cuda = XCEPTION_CUDA_VERSION,
      .nccl = XCEPTION_NCCL_VERSION,
      .compiler = XCEPTION_COMPILER,
      .build_type = XCEPTION_BUILD_TYPE,
  };
}

}  // namespace xception
