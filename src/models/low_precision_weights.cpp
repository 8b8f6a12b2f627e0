#include "xception/models/low_precision_weights.h"

#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/empty_strided.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

namespace xception {

LowPrecisionWeights::LowPrecisionWeights(torch::nn::Module& network, torch::ScalarType dtype) {
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

void LowPrecisionWeights::add(const std::shared_ptr<torch::nn::Module>& owner,
                              torch::Tensor& member, torch::ScalarType dtype) {
  if (!member.defined() || !member.requires_grad()) return;
  const auto options = member.options().dtype(dtype).requires_grad(false);
  auto copy = at::empty_strided(member.sizes(), member.strides(), options);
  copied_.push_back({owner, &member, member, copy.requires_grad_()});
}

void LowPrecisionWeights::refresh() {
  if (copied_.empty()) return;
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> copies, parameters;
  for (const auto& weight : copied_) {
    copies.push_back(weight.copy);
    parameters.push_back(weight.parameter);
  }
  at::_foreach_copy_(copies, parameters);
}

void LowPrecisionWeights::clear_gradients() {
  for (auto& weight : copied_) weight.copy.mutable_grad() = torch::Tensor();
}

std::vector<torch::Tensor> LowPrecisionWeights::gradients() const {
  std::vector<torch::Tensor> found;
  for (const auto& weight : copied_) {
    if (weight.copy.grad().defined()) found.push_back(weight.copy.grad());
  }
  return found;
}

torch::Tensor LowPrecisionWeights::of(const torch::Tensor& parameter) const {
  for (const auto& weight : copied_) {
    if (weight.parameter.is_same(parameter)) return weight.copy;
  }
  return {};
}

void LowPrecisionWeights::put_in(bool copies) {
  for (auto& weight : copied_) *weight.member = copies ? weight.copy : weight.parameter;
}

}  // namespace xception
