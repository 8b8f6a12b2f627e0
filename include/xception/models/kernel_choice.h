#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <optional>
#include <string>
#include <vector>

namespace xception {

/// Which operations a network's units are made of. Parameters, their names and, but for rounding,
/// results are the same.
enum class Kernels {
  reference,  ///< LibTorch's
  fused,      ///< ours (xception/kernels), wherever they take what they get
};

/// `reference`, `fused`.
[[nodiscard]] const char* kernels_name(Kernels kernels);

/// A module with a reference and a fused implementation: the reference one until told otherwise.
class KernelUser {
 public:
  virtual ~KernelUser() = default;
  void use_kernels(Kernels kernels) { kernels_ = kernels; }
  [[nodiscard]] Kernels kernels() const { return kernels_; }

 private:
  Kernels kernels_ = Kernels::reference;
};

/// Sets the kernels of a network and of all modules below it.
void use_kernels(torch::nn::Module& network, Kernels kernels);

/// A config's `train.kernels`; nothing for `auto`, which is decided where the device is known.
/// Error (input): none of auto, reference, fused.
[[nodiscard]] std::optional<Kernels> parse_kernels(const std::string& name);

/// Reference kernels in a whole network for as long as it lives; then what each module had before.
class ReferenceKernels {
 public:
  explicit ReferenceKernels(torch::nn::Module& network);
  ReferenceKernels(const ReferenceKernels&) = delete;
  ReferenceKernels& operator=(const ReferenceKernels&) = delete;
  ~ReferenceKernels();

 private:
  std::vector<KernelUser*> fused_;
};

}  // namespace xception
