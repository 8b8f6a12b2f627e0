#pragma once

#include <torch/types.h>

#include <vector>

#include "xception/models/batch_norm.h"

namespace xception {

/// Evaluation without BatchNorm's passes. For as long as it lives, each convolution of
/// `network` that a BatchNorm names as its own has that BatchNorm in its weight and bias,
///   weight * gamma / sqrt(running_var + eps),  (bias - running_mean) * gamma / ... + beta,
/// computed in float64 and rounded to `dtype`, and the BatchNorm gives back what it gets; then all
/// is as it was. What is folded already is left alone. Only in evaluation mode and without
/// gradients. What parameters() gives is untouched.
///
/// Source: Jacob et al., arXiv 1712.05877, section 3.2; torch.nn.utils.fuse_conv_bn_eval.
class FoldedBatchNorms {
 public:
  /// dtype: the convolutions'; under autocast, autocast's, so that nothing is cast a batch.
  FoldedBatchNorms(torch::nn::Module& network, torch::ScalarType dtype);
  FoldedBatchNorms(const FoldedBatchNorms&) = delete;
  FoldedBatchNorms& operator=(const FoldedBatchNorms&) = delete;
  ~FoldedBatchNorms();

 private:
  struct Folded {
    BatchNorm2d norm;
    torch::Tensor weight, bias;  ///< the convolution's own
  };
  std::vector<Folded> folded_;
};

}  // namespace xception
