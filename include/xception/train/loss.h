#pragma once

#include <torch/types.h>

#include "xception/models/classifier.h"

namespace xception {

/// The classes of targets: class numbers, int64 (N), as they are; of shares, (N, classes), the
/// class with the largest, int64 (N).
[[nodiscard]] torch::Tensor target_classes(const torch::Tensor& targets);

/// Cross entropy summed over the batch, computed in at least float32, as PyTorch's
/// `cross_entropy(reduction="sum")`. logits: (N, classes). targets: class numbers, int64 (N), or
/// shares of each class that sum to 1, floating-point (N, classes). class_weights: float32
/// (classes), or undefined: all count alike.
[[nodiscard]] torch::Tensor summed_cross_entropy(const torch::Tensor& logits,
                                                 const torch::Tensor& targets,
                                                 double label_smoothing = 0.0,
                                                 const torch::Tensor& class_weights = {});

/// What training minimizes: the cross entropy of the network's logits, and of its auxiliary heads'
/// where it has any (torchvision's InceptionOutputs, GoogLeNetOutputs).
struct Loss {
  double label_smoothing = 0.0;
  double aux_weight = 0.0;  ///< of each auxiliary head's cross entropy
  /// float32 (classes) on the device, or undefined. The sum isn't divided by the images' weights,
  /// as PyTorch's mean is: a batch counts by what is in it.
  torch::Tensor class_weights = {};

  /// Both scalars, summed over the batch.
  struct Value {
    torch::Tensor total;  ///< what is differentiated
    torch::Tensor main;   ///< of the main head alone, without class weights: what is reported
  };
  /// targets: as summed_cross_entropy takes them.
  [[nodiscard]] Value operator()(const ClassifierOutput& output,
                                 const torch::Tensor& targets) const;
};

}  // namespace xception
