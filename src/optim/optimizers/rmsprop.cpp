#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sqrt.h>
#include <ATen/ops/_foreach_sub.h>

#include "foreach.h"

namespace xception {
namespace {

struct RmspropOptions {
  double alpha = 0.9;
  double momentum = 0.9;
  double eps = 1e-10;

  std::vector<Key> keys() {
    auto keys = newer({{"alpha", &alpha, below(0, 1), "decay of the mean of squared gradients"}});
    // sgd's key, of the same default.
    keys.push_back({"momentum", &momentum, below(0, 1), "momentum"});
    for (auto& key : newer(
             {{"rmsprop_eps", &eps, at_least(1e-30), "added to the mean square, under the root"}}))
      keys.push_back(std::move(key));
    return keys;
  }
};

/// RMSprop as TensorFlow computes it and as the Xception paper trained with (section 4.4), equal to
/// timm.optim.RMSpropTF: epsilon stands under the root, the mean of squares begins at 1, and the
/// momentum buffer holds steps that have their learning rate in them.
class Rmsprop : public ForeachOptimizer {
 public:
  Rmsprop(const OptimizerConfig& config, const NamedParameters& parameters)
      : ForeachOptimizer(parameters, config.own<RmspropOptions>().momentum > 0.0
                                         ? std::vector<std::string>{"square_avg", "momentum"}
                                         : std::vector<std::string>{"square_avg"}),
        options_(config.own<RmspropOptions>()),
        weight_decay_(config.weight_decay) {
    for (auto& square : states(0)) square.fill_(1.0);
  }

 private:
  void update(const Lists& lists, const torch::Tensor& lr) override {
    auto gradients = lists.gradients;
    if (weight_decay_ != 0.0) {
      gradients = at::_foreach_add(gradients, lists.parameters, weight_decay_);
    }
    const auto change = at::_foreach_mul(gradients, gradients);
    at::_foreach_sub_(change, lists.first);
    at::_foreach_add_(lists.first, change, 1.0 - options_.alpha);
    const auto root = at::_foreach_add(lists.first, options_.eps);
    at::_foreach_sqrt_(root);
    const auto steps = at::_foreach_div(gradients, root);
    at::_foreach_mul_(steps, lr);
    if (lists.second.empty()) {
      at::_foreach_sub_(lists.parameters, steps);
      return;
    }
    at::_foreach_mul_(lists.second, options_.momentum);
    at::_foreach_add_(lists.second, steps);
    at::_foreach_sub_(lists.parameters, lists.second);
  }

  RmspropOptions options_;
  double weight_decay_;
};

}  // namespace

OptimizerEntry rmsprop_entry() {
  return {.name = "rmsprop",
          .keys = own_keys<RmspropOptions>,
          .build = [](const OptimizerConfig& config, const NamedParameters& parameters) {
            return std::make_unique<Rmsprop>(config, parameters);
          }};
}

}  // namespace xception
