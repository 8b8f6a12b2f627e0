#pragma once

#include <torch/nn/modules/linear.h>

#include <vector>

#include "xception/models/classifier.h"
#include "xception/models/inception_blocks.h"
#include "xception/models/layers.h"
#include "xception/models/registry.h"

namespace xception {

/// The keys of `model.*` that Google's networks in torchvision (inception_v3, googlenet) share, but
/// for those of their auxiliary heads.
struct InceptionOptions {
  /// Images come normalized with ImageNet's mean and deviation, but the weights want them in
  /// [-1, 1]: torchvision's option of the same name, which its published weights were made for.
  bool transform_input = false;

  [[nodiscard]] std::vector<Key> keys();
};

/// Images that were normalized with ImageNet's mean and deviation, as if with 0.5 and 0.5.
/// images: (N, 3, H, W) -> the same
[[nodiscard]] torch::Tensor to_unit_range(const torch::Tensor& images);

/// Inception V3 (Szegedy et al., arXiv 1512.00567): names, structure and initial values (from the
/// same CPU generator state) of torchvision's `inception_v3(transform_input=False,
/// init_weights=True)`, so that its published weights load by name. Any image of 75 px or more;
/// the auxiliary head needs 299 px.
///
/// Reads of the config: num_classes, dropout (default 0.5, as torchvision's), aux_logits (whether
/// the auxiliary head is built), aux_weight (the head runs if it is above 0; unset: it doesn't),
/// transform_input.
class InceptionV3 : public Classifier, public KernelUser {
 public:
  /// Errors (input): unknown variant; an auxiliary loss without the head.
  explicit InceptionV3(const ModelConfig& config);

 private:
  /// images: (N, 3, H, W) -> logits: (N, num_classes); aux: the same in training mode if
  /// aux_weight is above 0, else empty
  ClassifierOutput compute(const torch::Tensor& images) override;

  double dropout_;
  bool run_aux_;
  bool transform_input_;
  ConvBnRelu conv_1a_{nullptr}, conv_2a_{nullptr}, conv_2b_{nullptr}, conv_3b_{nullptr},
      conv_4a_{nullptr};
  InceptionBlock mixed_5b_{nullptr}, mixed_5c_{nullptr}, mixed_5d_{nullptr};
  InceptionBlock mixed_6a_{nullptr}, mixed_6b_{nullptr}, mixed_6c_{nullptr}, mixed_6d_{nullptr},
      mixed_6e_{nullptr};
  InceptionAux aux_{nullptr};
  InceptionBlock mixed_7a_{nullptr}, mixed_7b_{nullptr}, mixed_7c_{nullptr};
  torch::nn::Linear fc_{nullptr};
};

/// The registry's entry.
[[nodiscard]] ModelEntry inception_v3_entry();

}  // namespace xception
