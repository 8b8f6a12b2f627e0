#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <vector>

namespace xception {

/// What a classifier returns.
struct ClassifierOutput {
  torch::Tensor logits;            ///< (N, num_classes)
  std::vector<torch::Tensor> aux;  ///< (N, num_classes) of each auxiliary head that ran
};

/// An image classifier. A new one overrides compute(), registers its modules in its constructor,
/// and normalizes with xception::BatchNorm2d.
class Classifier : public torch::nn::Module {
 public:
  /// A forward pass, with the bookkeeping that all networks need.
  /// images: (N, 3, H, W), normalized, of the parameters' dtype; under autocast of any.
  ClassifierOutput forward(const torch::Tensor& images);

 protected:
  /// The network itself. images: (N, 3, H, W), of the parameters' dtype; under autocast already
  /// rounded to its dtype, unless they are float64, which autocast leaves alone.
  virtual ClassifierOutput compute(const torch::Tensor& images) = 0;
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
