#include "xception/optim/gradient_scaler.h"

#include <ATen/ops/_amp_foreach_non_finite_check_and_unscale.h>
#include <ATen/ops/_amp_update_scale.h>

namespace xception {
namespace {

constexpr double kInitialScale = 65536.0;
constexpr double kGrowthFactor = 2.0;
constexpr double kBackoffFactor = 0.5;
constexpr std::int64_t kGrowthInterval = 2000;

}  // namespace

GradientScaler::GradientScaler(bool enabled, const torch::Device& device) : enabled_(enabled) {
  if (!enabled_) return;
  const auto options = torch::TensorOptions().dtype(torch::kFloat32).device(device);
  scale_ = torch::full({1}, kInitialScale, options);
  growth_tracker_ = torch::zeros({1}, options.dtype(torch::kInt32));
  found_inf_ = torch::zeros({1}, options);
  one_ = torch::ones({1}, options);
}

torch::Tensor GradientScaler::scale(const torch::Tensor& loss) const {
  return enabled_ ? loss * scale_.squeeze() : loss;
}

void GradientScaler::unscale(const std::vector<torch::Tensor>& gradients,
                             const std::vector<torch::Tensor>& narrow) {
  if (!enabled_) return;
  // Through double, as torch.amp.GradScaler does: 1 / scale is exact for powers of two either way.
  inverse_ = scale_.to(torch::kFloat64).reciprocal().to(torch::kFloat32);
  torch::_amp_foreach_non_finite_check_and_unscale_(gradients, found_inf_, inverse_);
  if (!narrow.empty()) {
    torch::_amp_foreach_non_finite_check_and_unscale_(narrow, found_inf_, one_);
  }
}

void GradientScaler::update() {
  if (!enabled_) return;
  torch::_amp_update_scale_(scale_, growth_tracker_, found_inf_, kGrowthFactor, kBackoffFactor,
                            kGrowthInterval);
  found_inf_.zero_();
}

State GradientScaler::state() const {
  State state;
  if (enabled_) {
    state.tensors["scale"] = scale_;
    state.tensors["growth_tracker"] = growth_tracker_;
  }
  return state;
}

void GradientScaler::load_state(const State& state) {
  if (!enabled_) return;
  restore_tensor(state, "scale", scale_);
  restore_tensor(state, "growth_tracker", growth_tracker_);
}

}  // namespace xception
