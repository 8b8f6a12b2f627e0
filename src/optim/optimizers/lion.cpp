#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sign.h>
#include <ATen/ops/_foreach_sub.h>

#include "foreach.h"

namespace xception {
namespace {

struct LionOptions {
  double beta1 = 0.9;
  double beta2 = 0.99;

  std::vector<Key> keys() {
    std::vector<Key> keys = {// adam's key, of the same default.
                             {"beta1", &beta1, below(0, 1), "decay of the first moment"}};
    for (auto& key : newer({{"lion_beta2", &beta2, below(0, 1), "decay of the momentum"}})) {
      keys.push_back(std::move(key));
    }
    return keys;
  }
};

/// Lion (Chen et al., arXiv 2302.06675, algorithm 2), equal to timm.optim.Lion: a step of the same
/// size for every value, with decoupled weight decay.
class Lion : public ForeachOptimizer {
 public:
  Lion(const OptimizerConfig& config, const NamedParameters& parameters)
      : ForeachOptimizer(parameters, {"exp_avg"}),
        options_(config.own<LionOptions>()),
        weight_decay_(config.weight_decay) {}

 private:
  void update(const Lists& lists, const torch::Tensor& lr) override {
    if (weight_decay_ != 0.0) at::_foreach_mul_(lists.parameters, 1.0 - lr * weight_decay_);
    const auto steps = at::_foreach_lerp(lists.first, lists.gradients, 1.0 - options_.beta1);
    at::_foreach_sign_(steps);
    at::_foreach_mul_(steps, lr);
    at::_foreach_sub_(lists.parameters, steps);
    at::_foreach_lerp_(lists.first, lists.gradients, 1.0 - options_.beta2);
  }

  LionOptions options_;
  double weight_decay_;
};

}  // namespace

OptimizerEntry lion_entry() {
  return {.name = "lion",
          .keys = own_keys<LionOptions>,
          .build =
              [](const OptimizerConfig& config, const NamedParameters& parameters) {
                return std::make_unique<Lion>(config, parameters);
              },
          .check =
              [](const OptimizerConfig& config) {
                check_decoupled_decay(config, "optimizer.lr", config.lr);
              }};
}

}  // namespace xception
