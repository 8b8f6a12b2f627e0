#include "xception/models/googlenet.h"

#include <memory>
#include <string>
#include <utility>

#include "xception/core/error.h"
#include "xception/models/inception_v3.h"

namespace xception {
namespace {

using torch::nn::Conv2dOptions;
using torch::nn::Linear;

constexpr std::int64_t kGoogLeNetMinImageSize = 15;  // torchvision's
constexpr double kGoogLeNetDefaultDropout = 0.2;
constexpr double kDefaultAuxWeight = 0.3;  // the paper's

/// The channels of a block's branches; 3x3_reduce and the like are the paper's names for the 1x1
/// convolution before.
struct Channels {
  std::int64_t of_1x1;
  std::int64_t reduce_3x3, of_3x3;
  std::int64_t reduce_5x5, of_5x5;
  std::int64_t pool;
};

/// An inception module (the paper's Fig. 2b): (N, in, H, W) -> (N, the branches' channels, H, W).
InceptionBlock inception(std::int64_t in, const Channels& channels) {
  InceptionBlock block;
  const auto pointwise = [&](std::int64_t out) { return ConvBnRelu(Conv2dOptions(in, out, 1)); };
  const auto branch = [&](const std::string& name) {
    return block->register_module(name, std::make_shared<torch::nn::Module>());
  };
  block->add({block->unit("branch1", pointwise(channels.of_1x1))});
  const auto add_two = [&](const std::string& name, std::int64_t reduce, std::int64_t out) {
    const auto parent = branch(name);
    block->add(
        {parent->register_module("0", pointwise(reduce)),
         parent->register_module("1", ConvBnRelu(Conv2dOptions(reduce, out, 3).padding(1)))});
  };
  add_two("branch2", channels.reduce_3x3, channels.of_3x3);
  add_two("branch3", channels.reduce_5x5, channels.of_5x5);
  // Its "0" is the pooling.
  block->add({branch("branch4")->register_module("1", pointwise(channels.pool))},
             Branch::Pooling::max_same);
  return block;
}

/// Max pooling of stride 2 of which a window may reach beyond the image's end.
torch::Tensor pool_to_the_end(const Features& x, std::int64_t kernel) {
  return at::max_pool2d(x.value(), kernel, /*stride=*/2, /*padding=*/0, /*dilation=*/1,
                        /*ceil_mode=*/true);
}

std::vector<Key> googlenet_keys(ModelConfig& config) {
  auto keys = config.aux_keys();
  for (auto& key : own_keys<InceptionOptions>(config)) keys.push_back(std::move(key));
  for (auto& key : own_keys<GoogLeNetOptions>(config)) keys.push_back(std::move(key));
  return keys;
}

}  // namespace

std::vector<Key> GoogLeNetOptions::keys() {
  return {{.name = "aux_dropout",
           .variable = &aux_dropout,
           .accepts = below(0, 1),
           .meaning = "dropout in the auxiliary heads",
           .use = {.newer = true}}};
}

GoogLeNetAuxImpl::GoogLeNetAuxImpl(std::int64_t in_channels, std::int64_t num_classes,
                                   double dropout)
    : dropout_(dropout) {
  conv_ = register_module("conv", ConvBnRelu(Conv2dOptions(in_channels, 128, 1)));
  fc1_ = register_module("fc1", Linear(2048, 1024));
  fc2_ = register_module("fc2", Linear(1024, num_classes));
}

torch::Tensor GoogLeNetAuxImpl::forward(const torch::Tensor& x) {
  torch::Tensor y = at::adaptive_avg_pool2d(x, {4, 4});  // (N, in, 4, 4)
  y = conv_->forward(y).flatten(1);                      // (N, 2048)
  y = fc1_->forward(y).relu_();                          // (N, 1024)
  y = at::dropout(y, dropout_, is_training());           // (N, 1024)
  return fc2_->forward(y);                               // (N, num_classes)
}

// Modules are built and registered in torchvision's order: so they draw the same initial values.

GoogLeNet::GoogLeNet(const ModelConfig& config)
    : dropout_(config.dropout.value_or(kGoogLeNetDefaultDropout)),
      run_aux_(config.aux_weight.value_or(0.0) > 0.0),
      transform_input_(config.own<InceptionOptions>().transform_input) {
  check_variant(config, {"torchvision"});
  if (run_aux_ && !config.aux_logits) {
    throw input_error("models", "googlenet: aux_weight {} needs aux_logits=true",
                      *config.aux_weight);
  }
  conv1_ = register_module("conv1", ConvBnRelu(Conv2dOptions(3, 64, 7).stride(2).padding(3)));
  conv2_ = register_module("conv2", ConvBnRelu(Conv2dOptions(64, 64, 1)));
  conv3_ = register_module("conv3", ConvBnRelu(Conv2dOptions(64, 192, 3).padding(1)));
  const auto add = [&](const std::string& name, std::int64_t in, const Channels& channels) {
    return register_module("inception" + name, inception(in, channels));
  };
  inception3a_ = add("3a", 192, {64, 96, 128, 16, 32, 32});
  inception3b_ = add("3b", 256, {128, 128, 192, 32, 96, 64});
  inception4a_ = add("4a", 480, {192, 96, 208, 16, 48, 64});
  inception4b_ = add("4b", 512, {160, 112, 224, 24, 64, 64});
  inception4c_ = add("4c", 512, {128, 128, 256, 24, 64, 64});
  inception4d_ = add("4d", 512, {112, 144, 288, 32, 64, 64});
  inception4e_ = add("4e", 528, {256, 160, 320, 32, 128, 128});
  inception5a_ = add("5a", 832, {256, 160, 320, 32, 128, 128});
  inception5b_ = add("5b", 832, {384, 192, 384, 48, 128, 128});
  if (config.aux_logits) {
    const double dropout = config.own<GoogLeNetOptions>().aux_dropout;
    aux1_ = register_module("aux1", GoogLeNetAux(512, config.num_classes, dropout));
    aux2_ = register_module("aux2", GoogLeNetAux(528, config.num_classes, dropout));
    for (const auto& head : {aux1_, aux2_}) {
      // Heads that never run get no gradients: nobody should wait for them.
      for (auto& parameter : head->parameters()) parameter.set_requires_grad(run_aux_);
    }
  }
  fc_ = register_module("fc", Linear(1024, config.num_classes));
  for (const auto& module : modules(/*include_self=*/false)) {
    if (auto* conv = module->as<torch::nn::Conv2dImpl>()) {
      init_truncated_normal(conv->weight, 0.01);
    } else if (auto* linear = module->as<torch::nn::LinearImpl>()) {
      init_truncated_normal(linear->weight, 0.01);
    }
  }
}

ClassifierOutput GoogLeNet::compute(const torch::Tensor& images) {
  // Sizes are those of 224 px images.
  const bool with_aux = run_aux_ && is_training();
  ClassifierOutput output;
  torch::Tensor x = transform_input_ ? to_unit_range(images) : images;
  x = pool_to_the_end(conv1_->features(x), 3);            // (N, 64, 56, 56)
  x = conv2_->forward(x);                                 // (N, 64, 56, 56)
  x = pool_to_the_end(conv3_->features(x), 3);            // (N, 192, 28, 28)
  x = inception3a_->forward(x);                           // (N, 256, 28, 28)
  x = pool_to_the_end(inception3b_->forward(x), 3);       // (N, 480, 14, 14)
  x = inception4a_->forward(x);                           // (N, 512, 14, 14)
  if (with_aux) output.aux.push_back(aux1_->forward(x));  // (N, num_classes)
  x = inception4b_->forward(x);                           // (N, 512, 14, 14)
  x = inception4c_->forward(x);                           // (N, 512, 14, 14)
  x = inception4d_->forward(x);                           // (N, 528, 14, 14)
  if (with_aux) output.aux.push_back(aux2_->forward(x));  // (N, num_classes)
  x = pool_to_the_end(inception4e_->forward(x), 2);       // (N, 832, 7, 7)
  x = inception5a_->forward(x);                           // (N, 832, 7, 7)
  x = inception5b_->forward(x);                           // (N, 1024, 7, 7)
  x = global_average_pool(x);                             // (N, 1024)
  x = at::dropout(x, dropout_, is_training());            // (N, 1024)
  output.logits = fc_->forward(x);                        // (N, num_classes)
  return output;
}

ModelEntry googlenet_entry() {
  return {
      .name = "googlenet",
      .title = "GoogLeNet",
      .description =
          "the first Inception network (Szegedy et al., arXiv 1409.4842) with BatchNorm, as "
          "torchvision has it",
      .variants = {"torchvision"},
      .keys = googlenet_keys,
      .default_image_size = 224,
      .min_image_size = kGoogLeNetMinImageSize,
      .default_dropout = kGoogLeNetDefaultDropout,
      .default_bn_eps = 1e-3,
      .aux_min_image_size = kGoogLeNetMinImageSize,
      .default_aux_weight = kDefaultAuxWeight,
      .kind = "inception_v3",
      .build = [](const ModelConfig& config) { return std::make_shared<GoogLeNet>(config); },
  };
}

}  // namespace xception
