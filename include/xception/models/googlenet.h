#pragma once

#include <torch/nn/modules/linear.h>

#include <vector>

#include "xception/models/classifier.h"
#include "xception/models/inception_blocks.h"
#include "xception/models/layers.h"
#include "xception/models/registry.h"

namespace xception {

/// The key of `model.*` that GoogLeNet alone has.
struct GoogLeNetOptions {
  double aux_dropout = 0.7;  ///< in the auxiliary heads, before their final layer

  [[nodiscard]] std::vector<Key> keys();
};

/// An auxiliary classifier of GoogLeNet (the paper's section 5).
///
/// Children: `conv`, `fc1`, `fc2`; the names of torchvision's.
class GoogLeNetAuxImpl : public torch::nn::Module {
 public:
  GoogLeNetAuxImpl(std::int64_t in_channels, std::int64_t num_classes, double dropout);
  /// x: (N, in_channels, H, W) -> (N, num_classes)
  torch::Tensor forward(const torch::Tensor& x);

 private:
  double dropout_;
  ConvBnRelu conv_{nullptr};
  torch::nn::Linear fc1_{nullptr}, fc2_{nullptr};
};
TORCH_MODULE(GoogLeNetAux);

/// GoogLeNet (Szegedy et al., arXiv 1409.4842) with BatchNorm: names, structure and initial values
/// (from the same CPU generator state) of torchvision's `googlenet(transform_input=False,
/// init_weights=True)`, so that its published weights load by name; as there, the paper's 5x5
/// convolutions are 3x3. Any image of 15 px or more.
///
/// Reads of the config: num_classes, dropout (default 0.2, as torchvision's), aux_logits (whether
/// the auxiliary heads are built), aux_weight (the heads run if it is above 0; unset: they don't),
/// aux_dropout, transform_input.
class GoogLeNet : public Classifier {
 public:
  /// Errors (input): unknown variant; an auxiliary loss without the heads.
  explicit GoogLeNet(const ModelConfig& config);

 private:
  /// images: (N, 3, H, W) -> logits: (N, num_classes); aux: the same of `aux1`, then `aux2` in
  /// training mode if aux_weight is above 0, else empty
  ClassifierOutput compute(const torch::Tensor& images) override;

  double dropout_;
  bool run_aux_;
  bool transform_input_;
  ConvBnRelu conv1_{nullptr}, conv2_{nullptr}, conv3_{nullptr};
  InceptionBlock inception3a_{nullptr}, inception3b_{nullptr};
  InceptionBlock inception4a_{nullptr}, inception4b_{nullptr}, inception4c_{nullptr},
      inception4d_{nullptr}, inception4e_{nullptr};
  InceptionBlock inception5a_{nullptr}, inception5b_{nullptr};
  GoogLeNetAux aux1_{nullptr}, aux2_{nullptr};
  torch::nn::Linear fc_{nullptr};
};

/// The registry's entry.
[[nodiscard]] ModelEntry googlenet_entry();

}  // namespace xception
