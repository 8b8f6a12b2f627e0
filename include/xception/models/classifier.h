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

/// Evaluation mode for as long as it lives; then the mode that the model was in.
class EvaluationMode {
 public:
  explicit EvaluationMode(torch::nn::Module& module)
      : module_(module), was_training_(module.is_training()) {
    module_.eval();
  }
  EvaluationMode(const EvaluationMode&) = delete;
  EvaluationMode& operator=(const EvaluationMode&) = delete;
  ~EvaluationMode() { module_.train(was_training_); }

 private:
  torch::nn::Module& module_;
  bool was_training_;
};

}  // namespace xception
