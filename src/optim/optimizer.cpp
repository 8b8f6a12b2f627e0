#include "xception/optim/optimizer.h"

#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/stack.h>

#include "optimizers/builders.h"
#include "xception/core/error.h"

namespace xception {

std::unique_ptr<Optimizer> build_optimizer(const OptimizerConfig& config,
                                           const NamedParameters& parameters) {
  using Builder = std::unique_ptr<Optimizer> (*)(const OptimizerConfig&, const NamedParameters&);
  static const std::vector<std::pair<std::string, Builder>> builders = {
      {"adam", make_adam},
      {"adamw", make_adam},
      {"sgd", make_sgd},
  };
  for (const auto& [name, builder] : builders) {
    if (name == config.name) return builder(config, parameters);
  }
  throw input_error("config", "optimizer.name: unknown {}", config.name);
}

torch::Tensor in_layout_of(const torch::Tensor& parameter, const torch::Tensor& gradient) {
  if (parameter.strides() == gradient.strides()) return gradient;
  return torch::empty_like(parameter, gradient.options()).copy_(gradient);
}

StepLists step_lists(const NamedParameters& parameters, const std::vector<torch::Tensor>& copies,
                     const std::vector<torch::Tensor>& first,
                     const std::vector<torch::Tensor>& second) {
  const auto of = [](const std::vector<torch::Tensor>& all, std::size_t i) {
    return all.empty() ? torch::Tensor() : all[i];
  };
  StepLists lists;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const auto& parameter = parameters[i].second;
    if (const auto copy = of(copies, i); copy.defined()) {
      if (!copy.grad().defined()) continue;
      lists.with_copies.push_back({.parameter = parameter,
                                   .gradient = in_layout_of(parameter, copy.grad()),
                                   .first = of(first, i),
                                   .second = of(second, i),
                                   .copy = copy});
    } else if (parameter.grad().defined()) {
      lists.parameters.push_back(parameter);
      lists.gradients.push_back(in_layout_of(parameter, parameter.grad()));
      if (!first.empty()) lists.first.push_back(first[i]);
      if (!second.empty()) lists.second.push_back(second[i]);
    }
  }
  return lists;
}

std::vector<torch::Tensor> gradients(const NamedParameters& parameters) {
  std::vector<torch::Tensor> found;
  for (const auto& [name, parameter] : parameters) {
    if (parameter.grad().defined()) found.push_back(parameter.grad());
  }
  return found;
}

torch::Tensor clip_gradients(const std::vector<torch::Tensor>& gradients, double max_norm) {
  const auto norm = torch::stack(torch::_foreach_norm(gradients, 2)).norm();
  const auto factor = (max_norm / (norm + 1e-6)).clamp_max(1.0);
  torch::_foreach_mul_(gradients, factor);
  return norm;
}

}  // namespace xception
