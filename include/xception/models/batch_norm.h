#pragma once

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/types.h>

#include <memory>
#include <utility>

#include "xception/kernels/bn_act.h"
#include "xception/models/kernel_choice.h"
#include "xception/parallel/communicator.h"

namespace xception {

/// The ranks over whose images the BatchNorm layers of a network normalize.
struct StatisticsSync {
  std::shared_ptr<Communicator> ranks;
  bool counts = true;  ///< whether this rank's images count; else they only keep the ranks in step
};

/// torch::nn::BatchNorm2d, but that with fused kernels it leaves its num_batches_tracked to
/// Classifier::forward(), that it knows the convolution before it, and that it can take its
/// statistics over the images of all ranks (Python's torch.nn.SyncBatchNorm), with the backward
/// pass that belongs to it. Parameters, buffers and their names are those of
/// torch::nn::BatchNorm2d.
///
/// Each rank sends mean, variance and count; they are combined as Chan et al. do (1979), in
/// float64. Gradients of weight and bias are this rank's share: a gradient reducer sums them.
class BatchNorm2dImpl : public torch::nn::BatchNorm2dImpl, public KernelUser {
 public:
  explicit BatchNorm2dImpl(const torch::nn::BatchNorm2dOptions& of)
      : torch::nn::BatchNorm2dImpl(of) {}
  /// That of a convolution's result, which nobody else reads: it may be overwritten, and
  /// FoldedBatchNorms may put this module into the convolution.
  explicit BatchNorm2dImpl(const torch::nn::Conv2d& conv, double eps = 1e-5);

  /// x: (N, C, H, W) -> the same. In training mode all ranks must call it in the same order if
  /// synchronized.
  torch::Tensor forward(const torch::Tensor& x);

  /// Whether the fused operations can stand in for this module before or after others: they are
  /// chosen, take x, and this rank's batch is all that counts.
  [[nodiscard]] bool can_fuse(const torch::Tensor& x) const;

  /// This module as a fused operation takes it, which it is then called for.
  [[nodiscard]] BatchNormArguments arguments();

  /// The convolution whose result this module alone reads; empty if it wasn't said.
  [[nodiscard]] torch::nn::Conv2d convolution() const { return convolution_; }

  /// Whether convolution() does this module's work (FoldedBatchNorms): it gives back what it gets.
  [[nodiscard]] bool folded() const { return folded_; }
  void set_folded(bool folded) { folded_ = folded; }

  /// From here on it normalizes with its running statistics and keeps them, in training mode too.
  void freeze() {
    frozen_ = true;
    train(false);
  }
  void train(bool on = true) override { torch::nn::BatchNorm2dImpl::train(on && !frozen_); }

  /// From here on over all ranks; nullptr: over this rank's batch alone.
  void synchronize(std::shared_ptr<const StatisticsSync> sync) { sync_ = std::move(sync); }

  /// Whether it has seen a batch in training mode, since it was last asked, that is yet to be
  /// counted in num_batches_tracked.
  [[nodiscard]] bool take_uncounted() { return std::exchange(uncounted_, false); }

 private:
  torch::nn::Conv2d convolution_{nullptr};
  std::shared_ptr<const StatisticsSync> sync_;
  bool folded_ = false;
  bool frozen_ = false;
  bool uncounted_ = false;
};
TORCH_MODULE(BatchNorm2d);

/// Synchronizes every BatchNorm of a network.
/// Errors (input): one that is LibTorch's own and can't be.
void synchronize_batch_norm(torch::nn::Module& network,
                            const std::shared_ptr<const StatisticsSync>& sync);

}  // namespace xception
