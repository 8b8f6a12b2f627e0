#include "models/module_state.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/types.h>

#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace xception {

TensorMap module_state(const torch::nn::Module& module) {
  TensorMap state;
  for (const auto& item : module.named_parameters()) state.emplace(item.key(), item.value());
  for (const auto& item : module.named_buffers()) state.emplace(item.key(), item.value());
  return state;
}

TensorMap below(const TensorMap& tensors, const std::string& prefix) {
  TensorMap found;
  for (const auto& [name, tensor] : tensors) {
    if (name.starts_with(prefix)) found.emplace(name.substr(prefix.size()), tensor);
  }
  return found;
}

void load_module_state(torch::nn::Module& module, const TensorMap& tensors) {
  const torch::NoGradGuard no_grad;
  const TensorMap state = module_state(module);
  std::vector<std::string> wrong;
  for (const auto& [name, tensor] : tensors) {
    if (!state.contains(name)) wrong.push_back(name + " is missing");
  }
  for (const auto& [name, tensor] : state) {
    const auto given = tensors.find(name);
    if (given == tensors.end()) {
      wrong.push_back(name + " is not in the reference");
    } else if (given->second.sizes() != tensor.sizes()) {
      wrong.push_back(name + " has another shape");
    } else {
      tensor.copy_(given->second);
    }
  }
  if (!wrong.empty()) {
    throw std::runtime_error(fmt::format("names or shapes differ: {}", fmt::join(wrong, ", ")));
  }
}

void make_double(torch::nn::Module& module) {
  const torch::NoGradGuard no_grad;
  for (const auto& [name, tensor] : module_state(module)) {
    if (tensor.is_floating_point()) tensor.set_data(tensor.to(torch::kDouble));
  }
}

double relative_error(const torch::Tensor& actual, const torch::Tensor& expected) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (!actual.defined() || actual.sizes() != expected.sizes()) return infinity;
  const auto wanted = expected.detach().to(torch::kDouble);
  const double difference = (actual.detach().to(torch::kDouble) - wanted).norm().item<double>();
  if (difference == 0.0) return 0.0;
  const double scale = wanted.norm().item<double>();
  return scale > 0.0 ? difference / scale : infinity;
}

}  // namespace xception
