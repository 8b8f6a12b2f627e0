#include "xception/models/inception_v3.h"

#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "xception/core/error.h"

namespace xception {
namespace {

constexpr std::int64_t kInceptionMinImageSize = 75;
/// The auxiliary head's 5x5 convolution has nothing to work on below 17 x 17 features.
constexpr std::int64_t kAuxMinImageSize = 299;
constexpr double kInceptionDefaultDropout = 0.5;

/// The truncated normal distribution of torchvision's initialization for every convolution and
/// linear layer; linear biases keep PyTorch's default.
///
/// torchvision's source asks for a standard deviation of 0.01 for the auxiliary head's second
/// convolution too, but says so to the module around it, where nobody looks: it gets 0.1.
void init_weights(InceptionV3& network, InceptionAux& aux) {
  for (const auto& module : network.modules(/*include_self=*/false)) {
    if (auto* conv = module->as<torch::nn::Conv2dImpl>()) {
      init_truncated_normal(conv->weight, 0.1);
    } else if (auto* linear = module->as<torch::nn::LinearImpl>()) {
      const bool auxiliary = aux && linear == aux->classifier().get();
      init_truncated_normal(linear->weight, auxiliary ? 0.001 : 0.1);
    }
  }
}

std::vector<Key> keys(ModelConfig& config) {
  auto keys = config.aux_keys();
  for (auto& key : own_keys<InceptionOptions>(config)) keys.push_back(std::move(key));
  return keys;
}

}  // namespace

torch::Tensor to_unit_range(const torch::Tensor& images) {
  constexpr std::array<double, 3> kMean = {0.485, 0.456, 0.406};
  constexpr std::array<double, 3> kDeviation = {0.229, 0.224, 0.225};
  // A channel at a time: numbers of the host can be recorded in a CUDA graph, a tensor of them not.
  std::vector<torch::Tensor> channels;
  for (std::size_t c = 0; c < kMean.size(); ++c) {
    channels.push_back(images.narrow(1, static_cast<std::int64_t>(c), 1) * (kDeviation[c] / 0.5) +
                       (kMean[c] - 0.5) / 0.5);
  }
  return at::cat(channels, 1).contiguous(images.suggest_memory_format());
}

std::vector<Key> InceptionOptions::keys() {
  return {{"transform_input",
           &transform_input,
           {},
           "images come normalized with ImageNet's mean and deviation, the weights want [-1, 1] "
           "(torchvision's published ones)"}};
}

InceptionV3::InceptionV3(const ModelConfig& config)
    : dropout_(config.dropout.value_or(kInceptionDefaultDropout)),
      run_aux_(config.aux_weight.value_or(0.0) > 0.0),
      transform_input_(config.own<InceptionOptions>().transform_input) {
  check_variant(config, {"torchvision"});
  if (run_aux_ && !config.aux_logits) {
    throw input_error("models", "inception_v3: aux_weight {} needs aux_logits=true",
                      *config.aux_weight);
  }
  using torch::nn::Conv2dOptions;
  conv_1a_ = register_module("Conv2d_1a_3x3", ConvBnRelu(Conv2dOptions(3, 32, 3).stride(2)));
  conv_2a_ = register_module("Conv2d_2a_3x3", ConvBnRelu(Conv2dOptions(32, 32, 3)));
  conv_2b_ = register_module("Conv2d_2b_3x3", ConvBnRelu(Conv2dOptions(32, 64, 3).padding(1)));
  conv_3b_ = register_module("Conv2d_3b_1x1", ConvBnRelu(Conv2dOptions(64, 80, 1)));
  conv_4a_ = register_module("Conv2d_4a_3x3", ConvBnRelu(Conv2dOptions(80, 192, 3)));
  mixed_5b_ = register_module("Mixed_5b", inception_a(192, 32));
  mixed_5c_ = register_module("Mixed_5c", inception_a(256, 64));
  mixed_5d_ = register_module("Mixed_5d", inception_a(288, 64));
  mixed_6a_ = register_module("Mixed_6a", inception_b(288));
  mixed_6b_ = register_module("Mixed_6b", inception_c(768, 128));
  mixed_6c_ = register_module("Mixed_6c", inception_c(768, 160));
  mixed_6d_ = register_module("Mixed_6d", inception_c(768, 160));
  mixed_6e_ = register_module("Mixed_6e", inception_c(768, 192));
  if (config.aux_logits) {
    aux_ = register_module("AuxLogits", InceptionAux(768, config.num_classes));
    // A head that never runs gets no gradients: nobody should wait for them.
    for (auto& parameter : aux_->parameters()) parameter.set_requires_grad(run_aux_);
  }
  mixed_7a_ = register_module("Mixed_7a", inception_d(768));
  mixed_7b_ = register_module("Mixed_7b", inception_e(1280));
  mixed_7c_ = register_module("Mixed_7c", inception_e(2048));
  fc_ = register_module("fc", torch::nn::Linear(2048, config.num_classes));
  init_weights(*this, aux_);
}

ClassifierOutput InceptionV3::compute(const torch::Tensor& images) {
  // Sizes are those of 299 px images.
  torch::Tensor x = transform_input_ ? to_unit_range(images) : images;
  x = conv_1a_->forward(x);                       // (N, 32, 149, 149)
  x = conv_2a_->forward(x);                       // (N, 32, 147, 147)
  Features y = conv_2b_->features(x);             // (N, 64, 147, 147)
  x = pool_add(y, {}, /*padding=*/0, kernels());  // (N, 64, 73, 73)
  x = conv_3b_->forward(x);                       // (N, 80, 73, 73)
  y = conv_4a_->features(x);                      // (N, 192, 71, 71)
  x = pool_add(y, {}, /*padding=*/0, kernels());  // (N, 192, 35, 35)
  x = mixed_5b_->forward(x);                      // (N, 256, 35, 35)
  x = mixed_5c_->forward(x);                      // (N, 288, 35, 35)
  x = mixed_5d_->forward(x);                      // (N, 288, 35, 35)
  x = mixed_6a_->forward(x);                      // (N, 768, 17, 17)
  x = mixed_6b_->forward(x);                      // (N, 768, 17, 17)
  x = mixed_6c_->forward(x);                      // (N, 768, 17, 17)
  x = mixed_6d_->forward(x);                      // (N, 768, 17, 17)
  x = mixed_6e_->forward(x);                      // (N, 768, 17, 17)
  ClassifierOutput output;
  if (run_aux_ && is_training()) output.aux = {aux_->forward(x)};  // (N, num_classes)
  x = mixed_7a_->forward(x);                                       // (N, 1280, 8, 8)
  x = mixed_7b_->forward(x);                                       // (N, 2048, 8, 8)
  x = mixed_7c_->forward(x);                                       // (N, 2048, 8, 8)
  x = global_average_pool(x);                                      // (N, 2048)
  x = at::dropout(x, dropout_, is_training());                     // (N, 2048)
  output.logits = fc_->forward(x);                                 // (N, num_classes)
  return output;
}

ModelEntry inception_v3_entry() {
  return {
      .name = "inception_v3",
      .title = "Inception V3",
      .description =
          "parallel factorised convolutions (Szegedy et al., arXiv 1512.00567), as "
          "torchvision has it",
      .variants = {"torchvision"},
      .keys = keys,
      .default_image_size = 299,
      .min_image_size = kInceptionMinImageSize,
      .default_dropout = kInceptionDefaultDropout,
      .default_bn_eps = 1e-3,
      .aux_min_image_size = kAuxMinImageSize,
      .default_aux_weight = 0.4,
      .build = [](const ModelConfig& config) { return std::make_shared<InceptionV3>(config); },
  };
}

}  // namespace xception
