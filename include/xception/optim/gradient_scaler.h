#pragma once

#include <torch/types.h>

#include <vector>

#include "xception/core/state.h"

namespace xception {

/// Loss scaling for float16, as torch.amp.GradScaler with its defaults (65536, x 2 after 2000 good
/// steps, x 0.5 after a bad one), entirely on the device: a bad step is skipped by the optimizer's
/// kernel, not by the host. Switched off, it passes everything through.
class GradientScaler : public Stateful {
 public:
  GradientScaler(bool enabled, const torch::Device& device);

  [[nodiscard]] std::string state_name() const override { return "gradient_scaler"; }

  /// loss x scale.
  [[nodiscard]] torch::Tensor scale(const torch::Tensor& loss) const;

  /// Divides gradients by the scale in place and notes whether any is not finite. narrow: float16
  /// gradients, which are only looked at, because dividing could lose them.
  void unscale(const std::vector<torch::Tensor>& gradients,
               const std::vector<torch::Tensor>& narrow = {});

  /// float32 (1), 1 / scale as of the last unscale; undefined when off.
  [[nodiscard]] const torch::Tensor& inverse() const { return inverse_; }

  /// float32 (1), 1 where the last unscale found a gradient that is not finite; undefined when off.
  [[nodiscard]] const torch::Tensor& found_inf() const { return found_inf_; }

  /// Adapts the scale and forgets found_inf.
  void update();

  [[nodiscard]] bool enabled() const { return enabled_; }

  [[nodiscard]] State state() const override;
  void load_state(const State& state) override;

 private:
  bool enabled_;
  torch::Tensor scale_;           ///< float32 (1)
  torch::Tensor growth_tracker_;  ///< int32 (1)
  torch::Tensor found_inf_;       ///< float32 (1)
  torch::Tensor inverse_;         ///< float32 (1)
  torch::Tensor one_;             ///< float32 (1)
};

}  // namespace xception
