#include <ATen/ops/_fused_sgd.h>
#include <torch/types.h>

#include "entry.h"
#include "xception/core/error.h"

namespace xception {
namespace {

struct SgdOptions {
  double momentum = 0.9;
  bool nesterov = false;

  std::vector<Key> keys() {
    return {{"momentum", &momentum, below(0, 1), "momentum"},
            {"nesterov",
             &nesterov,
             {},
             "Nesterov's momentum: a step goes along gradient + momentum * buffer",
             {},
             {.newer = true}}};
  }
};

/// Stochastic gradient descent with momentum, Nesterov's or not, as torch.optim.SGD's with
/// fused=True.
class Sgd : public Optimizer {
 public:
  Sgd(const OptimizerConfig& config, const NamedParameters& parameters)
      : rule_{.kind = UpdateKind::sgd,
              .momentum = config.own<SgdOptions>().momentum,
              .nesterov = config.own<SgdOptions>().nesterov,
              .weight_decay = config.weight_decay},
        parameters_(parameters) {
    // The kernel takes momentum buffers only where there is momentum.
    if (rule_.momentum == 0.0) return;
    for (const auto& [name, parameter] : parameters_) {
      momentum_.push_back(torch::zeros_like(parameter));
    }
  }

  void step(const torch::Tensor& lr, const torch::Tensor& found_inf,
            const torch::Tensor& inverse_scale) override {
    const torch::NoGradGuard no_grad;
    const auto lists = step_lists(parameters_, copies(), momentum_, {});
    fused_update(lists.with_copies, rule_,
                 {.lr = lr, .step = {}, .inverse_scale = inverse_scale, .found_inf = found_inf});
    if (lists.parameters.empty()) return;
    const std::optional<torch::Tensor> skip =
        found_inf.defined() ? std::optional(found_inf) : std::nullopt;
    // Without dampening, a momentum of zero makes the first step like every other.
    torch::_fused_sgd_(lists.parameters, lists.gradients, lists.first, rule_.weight_decay,
                       rule_.momentum, lr, /*dampening=*/0.0, rule_.nesterov,
                       /*maximize=*/false, /*is_first_step=*/false, /*grad_scale=*/{}, skip);
  }

  State state() const override {
    State state;
    for (std::size_t i = 0; i < momentum_.size(); ++i) {
      state.tensors["momentum." + parameters_[i].first] = momentum_[i];
    }
    return state;
  }

  void load_state(const State& state) override {
    for (std::size_t i = 0; i < momentum_.size(); ++i) {
      restore_tensor(state, "momentum." + parameters_[i].first, momentum_[i]);
    }
  }

 private:
  UpdateRule rule_;
  NamedParameters parameters_;
  std::vector<torch::Tensor> momentum_;
};

void check_sgd(const OptimizerConfig& config) {
  const auto options = config.own<SgdOptions>();
  if (!options.nesterov || options.momentum > 0.0) return;
  throw input_error("config",
                    "optimizer.nesterov: found true with optimizer.momentum 0; expected a momentum "
                    "above 0");
}

}  // namespace

OptimizerEntry sgd_entry() {
  return {.name = "sgd",
          .keys = own_keys<SgdOptions>,
          .build =
              [](const OptimizerConfig& config, const NamedParameters& parameters) {
                return std::make_unique<Sgd>(config, parameters);
              },
          .check = check_sgd};
}

}  // namespace xception
