#pragma once

#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include <vector>

#include "xception/models/classifier.h"
#include "xception/models/kernel_choice.h"
#include "xception/models/registry.h"

namespace xception {

/// AlexNet in the form of "One weird trick" (Krizhevsky, arXiv 1404.5997): names, structure and
/// initial values (PyTorch's defaults, from the same CPU generator state) of torchvision's
/// `alexnet`, so that its published weights load by name. Any image of 63 px or more: the first
/// convolution keeps every fourth pixel, three times max pooling halves the rest; then the average
/// of 6 x 6 parts of the image (below 224 px parts share pixels).
///
/// Reads of the config: num_classes, dropout (default 0.5, before each of the two hidden layers).
class AlexNet : public Classifier, public KernelUser {
 public:
  /// Errors (input): unknown variant.
  explicit AlexNet(const ModelConfig& config);

 private:
  struct Step {
    torch::nn::Conv2d conv{nullptr};
    bool pool = false;  ///< 3x3, stride 2, after the ReLU
  };

  /// images: (N, 3, H, W) -> logits: (N, num_classes); aux is empty
  ClassifierOutput compute(const torch::Tensor& images) override;

  double dropout_;
  std::vector<Step> steps_;
  std::vector<torch::nn::Linear> linears_;
};

/// The registry's entry.
[[nodiscard]] ModelEntry alexnet_entry();

}  // namespace xception
