#pragma once

#include <string_view>

namespace xception {

/// What this program was built from. Functions and not constants, so that a new commit recompiles
/// one file.
struct Version {
  std::string_view version;     ///< of the project: `0.1.0`
  std::string_view git_commit;  ///< `3f2a9c1d0b7e`, `-dirty` appended where files differ; `unknown`
  std::string_view libtorch;    ///< LibTorch at build time: `2.11.0`
  std::string_view cuda;        ///< CUDA toolkit at build time: `13.0.88`; empty without CUDA
  std::string_view nccl;        ///< NCCL at build time: `2.28.9`; empty without it
  std::string_view compiler;    ///< `GNU 12.2.0`
  std::string_view build_type;  ///< `Release`
};

[[nodiscard]] Version version() noexcept;

}  // namespace xception
