#include "foreach.h"

#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <utility>

namespace xception {

ForeachOptimizer::ForeachOptimizer(const NamedParameters& parameters,
                                   std::vector<std::string> names)
    : parameters_(parameters), names_(std::move(names)), states_(names_.size()) {
  for (auto& list : states_) {
    for (const auto& [name, parameter] : parameters_) list.push_back(torch::zeros_like(parameter));
  }
}

void ForeachOptimizer::step(const torch::Tensor& lr, const torch::Tensor& found_inf,
                            const torch::Tensor& inverse_scale) {
  const torch::NoGradGuard no_grad;
  const std::vector<torch::Tensor> none;
  auto found = step_lists(parameters_, copies(), states_.empty() ? none : states_[0],
                          states_.size() < 2 ? none : states_[1]);
  Lists lists{.parameters = std::move(found.parameters),
              .gradients = std::move(found.gradients),
              .first = std::move(found.first),
              .second = std::move(found.second)};
  std::vector<torch::Tensor> copies, copied;
  for (const auto& item : found.with_copies) {
    auto gradient = item.gradient.to(item.parameter.scalar_type(), /*non_blocking=*/false,
                                     /*copy=*/true);
    if (inverse_scale.defined()) gradient.mul_(inverse_scale.squeeze());
    lists.parameters.push_back(item.parameter);
    lists.gradients.push_back(std::move(gradient));
    if (!states_.empty()) lists.first.push_back(item.first);
    if (states_.size() > 1) lists.second.push_back(item.second);
    copies.push_back(item.copy);
    copied.push_back(item.parameter);
  }
  if (lists.parameters.empty()) return;
  std::vector<torch::Tensor> written, before;
  if (found_inf.defined()) {
    for (const auto* list : {&lists.parameters, &lists.first, &lists.second}) {
      for (const auto& tensor : *list) {
        written.push_back(tensor);
        before.push_back(tensor.clone());
      }
    }
  }
  update(lists, lr);
  if (found_inf.defined()) {
    const auto skip = found_inf.squeeze().ne(0);
    for (std::size_t i = 0; i < written.size(); ++i) {
      written[i].copy_(torch::where(skip, before[i], written[i]));
    }
  }
  if (!copies.empty()) at::_foreach_copy_(copies, copied);
}

State ForeachOptimizer::state() const {
  State state;
  for (std::size_t i = 0; i < names_.size(); ++i) {
    for (std::size_t p = 0; p < parameters_.size(); ++p) {
      state.tensors[names_[i] + "." + parameters_[p].first] = states_[i][p];
    }
  }
  return state;
}

void ForeachOptimizer::load_state(const State& state) {
  for (std::size_t i = 0; i < names_.size(); ++i) {
    for (std::size_t p = 0; p < parameters_.size(); ++p) {
      restore_tensor(state, names_[i] + "." + parameters_[p].first, states_[i][p]);
    }
  }
}

}  // namespace xception
