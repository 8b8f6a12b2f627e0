#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

namespace xception {

/// What a classifier returns.
struct Logits {
  torch::Tensor logits;  ///< (N, num_classes)
  torch::Tensor aux;     ///< (N, num_classes) of the auxiliary head, or undefined
};

/// An image classifier: normalised images (N, 3, H, W) in, logits out.
class Classifier : public torch::nn::Module {
 public:
  /// images: (N, 3, H, W), floating point, of the parameters' dtype or under autocast.
  virtual Logits forward(const torch::Tensor& images) = 0;
};

}  // namespace xception
