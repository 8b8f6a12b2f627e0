#include "xception/models/shadow_weights.h"

#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/empty_strided.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

namespace xception {

ShadowWeights::ShadowWeights(torch::nn::Module& network, torch::ScalarType dtype) {
  for (const auto& module : network.modules(/*include_self=*/false)) {
    if (auto* conv = module->as<torch::nn::Conv2dImpl>(); conv && conv->options.groups() == 1) {
      add(module, conv->weight, dtype);
      add(module, conv->bias, dtype);
    } else if (auto* linear = module->as<torch::nn::LinearImpl>()) {
      add(module, linear->weight, dtype);
      add(module, linear->bias, dtype);
    }
  }
  refresh();
}

void ShadowWeights::add(const std::shared_ptr<torch::nn::Module>& owner, torch::Tensor& member,
                        torch::ScalarType dtype) {
  if (!member.defined() || !member.requires_grad()) return;
  const auto options = member.options().dtype(dtype).requires_grad(false);
  auto copy = at::empty_strided(member.sizes(), member.strides(), options);
  shadows_.push_back({owner, &member, member, copy.requires_grad_()});
}

void ShadowWeights::refresh() {
  if (shadows_.empty()) return;
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> copies, parameters;
  for (const auto& shadow : shadows_) {
    copies.push_back(shadow.copy);
    parameters.push_back(shadow.parameter);
  }
  at::_foreach_copy_(copies, parameters);
}

void ShadowWeights::clear_gradients() {
  for (auto& shadow : shadows_) shadow.copy.mutable_grad() = torch::Tensor();
}

std::vector<torch::Tensor> ShadowWeights::gradients() const {
  std::vector<torch::Tensor> found;
  for (const auto& shadow : shadows_) {
    if (shadow.copy.grad().defined()) found.push_back(shadow.copy.grad());
  }
  return found;
}

torch::Tensor ShadowWeights::of(const torch::Tensor& parameter) const {
  for (const auto& shadow : shadows_) {
    if (shadow.parameter.is_same(parameter)) return shadow.copy;
  }
  return {};
}

void ShadowWeights::put_in(bool copies) {
  for (auto& shadow : shadows_) *shadow.member = copies ? shadow.copy : shadow.parameter;
}

}  // namespace xception
