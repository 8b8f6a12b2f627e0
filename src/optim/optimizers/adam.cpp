#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <torch/types.h>

#include "entry.h"

namespace xception {
namespace {

using FusedAdam = void(at::TensorList, at::TensorList, at::TensorList, at::TensorList,
                       at::TensorList, at::TensorList, const torch::Tensor&, double, double, double,
                       double, bool, bool, const std::optional<torch::Tensor>&,
                       const std::optional<torch::Tensor>&);

struct AdamOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;

  std::vector<Key> keys() {
    return {{"beta1", &beta1, below(0, 1), "decay of the first moment"},
            {"beta2", &beta2, below(0, 1), "decay of the second moment"},
            {"eps", &eps, at_least(1e-30), "added to the denominator"}};
  }
};

/// Adam (Kingma & Ba 2015) and AdamW (Loshchilov & Hutter 2019) as torch.optim's with fused=True.
class Adam : public Optimizer {
 public:
  Adam(UpdateKind kind, const OptimizerConfig& config, const NamedParameters& parameters)
      : parameters_(parameters) {
    const auto [beta1, beta2, eps] = config.own<AdamOptions>();
    rule_ = {.kind = kind,
             .beta1 = beta1,
             .beta2 = beta2,
             .eps = eps,
             .weight_decay = config.weight_decay};
    for (const auto& [name, parameter] : parameters_) {
      // zeros_like keeps the memory format: the fused CPU kernel walks all lists in storage order.
      first_.push_back(torch::zeros_like(parameter));
      second_.push_back(torch::zeros_like(parameter));
    }
    step_ = torch::zeros({}, torch::TensorOptions().dtype(torch::kFloat32).device(device()));
  }

  void step(const torch::Tensor& lr, const torch::Tensor& found_inf,
            const torch::Tensor& inverse_scale) override {
    const torch::NoGradGuard no_grad;
    const auto lists = step_lists(parameters_, copies(), first_, second_);
    // One count serves all parameters: the kernel only reads it. It must be 1 at the first update.
    step_.add_(1);
    if (found_inf.defined()) step_.sub_(found_inf.squeeze());
    fused_update(lists.with_copies, rule_, {lr, step_, inverse_scale, found_inf});
    if (lists.parameters.empty()) return;
    const std::vector<torch::Tensor> steps(lists.parameters.size(), step_);
    const std::optional<torch::Tensor> skip =
        found_inf.defined() ? std::optional(found_inf) : std::nullopt;
    const auto update = rule_.kind == UpdateKind::adamw
                            ? static_cast<FusedAdam*>(torch::_fused_adamw_)
                            : static_cast<FusedAdam*>(torch::_fused_adam_);
    update(lists.parameters, lists.gradients, lists.first, lists.second, {}, steps, lr, rule_.beta1,
           rule_.beta2, rule_.weight_decay, rule_.eps, /*amsgrad=*/false,
           /*maximize=*/false, /*grad_scale=*/{}, skip);
  }

  State state() const override {
    State state;
    state.tensors["step"] = step_;
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      state.tensors["exp_avg." + parameters_[i].first] = first_[i];
      state.tensors["exp_avg_sq." + parameters_[i].first] = second_[i];
    }
    return state;
  }

  void load_state(const State& state) override {
    restore_tensor(state, "step", step_);
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      restore_tensor(state, "exp_avg." + parameters_[i].first, first_[i]);
      restore_tensor(state, "exp_avg_sq." + parameters_[i].first, second_[i]);
    }
  }

 private:
  [[nodiscard]] torch::Device device() const {
    return parameters_.empty() ? torch::Device(torch::kCPU) : parameters_.front().second.device();
  }

  UpdateRule rule_;
  NamedParameters parameters_;
  std::vector<torch::Tensor> first_;
  std::vector<torch::Tensor> second_;
  torch::Tensor step_;
};

template <UpdateKind kind>
std::unique_ptr<Optimizer> build(const OptimizerConfig& config, const NamedParameters& parameters) {
  return std::make_unique<Adam>(kind, config, parameters);
}

void check_adamw(const OptimizerConfig& config) {
  check_decoupled_decay(config, "optimizer.lr", config.lr);
}

}  // namespace

OptimizerEntry adam_entry() {
  return {"adam", own_keys<AdamOptions>, build<UpdateKind::adam>};
}

OptimizerEntry adamw_entry() {
  return {"adamw", own_keys<AdamOptions>, build<UpdateKind::adamw>, check_adamw};
}

}  // namespace xception
