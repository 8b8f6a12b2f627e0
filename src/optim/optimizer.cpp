#include "xception/optim/optimizer.h"

#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/stack.h>

#include "optimizers/entry.h"
#include "optimizers/groups.h"
#include "xception/core/error.h"

namespace xception {

// A new optimizer is a source file in `optimizers/`, which defines its entry, declared and listed
// here.
OptimizerEntry adam_entry();
OptimizerEntry adamw_entry();
OptimizerEntry sgd_entry();
OptimizerEntry rmsprop_entry();
OptimizerEntry lion_entry();
OptimizerEntry muon_entry();

namespace {

const std::vector<OptimizerEntry>& optimizer_table() {
  static const std::vector<OptimizerEntry> table = {adam_entry(),    adamw_entry(), sgd_entry(),
                                                    rmsprop_entry(), lion_entry(),  muon_entry()};
  return table;
}

const OptimizerEntry& find_optimizer(const std::string& name) {
  for (const auto& entry : optimizer_table()) {
    if (entry.name == name) return entry;
  }
  throw input_error("config", "optimizer.name: unknown {}", name);
}

/// The gradient with the parameter's strides: the fused CPU kernels walk storage and would silently
/// pair the wrong elements. It nearly always has them already.
torch::Tensor in_layout_of(const torch::Tensor& parameter, const torch::Tensor& gradient) {
  if (parameter.strides() == gradient.strides()) return gradient;
  return torch::empty_like(parameter, gradient.options()).copy_(gradient);
}

}  // namespace

std::vector<Key> OptimizerConfig::keys() {
  Choices names;
  for (const auto& entry : optimizer_table()) names.push_back(entry.name);
  std::vector<Key> keys = {{"name", &name, std::move(names), "update rule"},
                           {"lr", &lr, above(0), "learning rate"}};
  for (const auto& entry : optimizer_table()) add_keys(keys, entry.name, entry.keys(*this));
  keys.push_back({"weight_decay", &weight_decay, at_least(0),
                  "adam, sgd, rmsprop: L2 penalty; adamw, lion, muon: decoupled decay"});
  keys.push_back({"decay_norm_and_bias",
                  &decay_norm_and_bias,
                  {},
                  "false: BatchNorm's weights and all biases have no weight decay",
                  {},
                  {.newer = true}});
  keys.push_back(
      {"clip_norm", &clip_norm, at_least(0), "largest norm of all gradients; 0: no clipping"});
  keys.push_back({"groups",
                  &groups,
                  {},
                  "parameters with another learning rate or weight decay: [{\"name\": a name or "
                  "pattern, \"lr_factor\": 0.1, \"weight_decay\": 0}, ...]; the first that fits "
                  "counts"});
  return keys;
}

void check_optimizer(const OptimizerConfig& config) {
  const auto& entry = find_optimizer(config.name);
  check_groups(config);
  if (entry.check) entry.check(config);
}

std::unique_ptr<Optimizer> build_optimizer(const OptimizerConfig& config,
                                           const NamedParameters& parameters) {
  const auto& entry = find_optimizer(config.name);
  const bool alike =
      config.groups.empty() && (config.decay_norm_and_bias || config.weight_decay == 0.0);
  return alike ? entry.build(config, parameters) : build_groups(entry, config, parameters);
}

void check_decoupled_decay(const OptimizerConfig& config, const std::string& key, double lr) {
  if (lr * config.weight_decay < 1.0) return;
  throw input_error("config",
                    "optimizer.weight_decay: found {} with {} {}: a step of {} scales weights by "
                    "1 - lr * weight_decay, which must stay above 0; lower it",
                    config.weight_decay, key, lr, config.name);
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
