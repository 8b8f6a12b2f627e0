#pragma once

#include <torch/types.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "xception/config/keys.h"
#include "xception/core/state.h"

namespace xception {

/// `optimizer.*`. What an optimizer has for itself stands beside its code (src/optim/optimizers).
struct OptimizerConfig : ComponentOptions {
  std::string name = "adam";
  double lr = 1e-3;
  double weight_decay = 0.0;
  bool decay_norm_and_bias = true;  ///< false: one-dimensional parameters have no weight decay
  double clip_norm = 0.0;           ///< 0: gradients are not clipped
  /// Parameters that are updated otherwise: `[{"name": pattern, "lr_factor": 0.1, ...}]`.
  nlohmann::json groups = nlohmann::json::array();

  /// These and every optimizer's own, in the order in which a config is written.
  [[nodiscard]] std::vector<Key> keys();
};

/// Refuses settings that the chosen optimizer can't be meant with. Errors (input).
void check_optimizer(const OptimizerConfig& config);

/// Parameters with their names, in the order of registration.
using NamedParameters = std::vector<std::pair<std::string, torch::Tensor>>;

/// An update rule over a flat list of parameters, in one fused kernel where there is one. All
/// that changes from step to step lies on the device, so that a step can be captured in a graph.
class Optimizer : public Stateful {
 public:
  [[nodiscard]] std::string state_name() const override { return "optimizer"; }

  /// Applies the gradients that the parameters hold; a parameter without one is left alone.
  /// lr: float32 scalar tensor on the device. found_inf: float32, one element; where it is 1
  /// nothing changes, the step count included; undefined: always apply. inverse_scale: float32, one
  /// element, by which the gradients of copies are multiplied; undefined: 1.
  virtual void step(const torch::Tensor& lr, const torch::Tensor& found_inf,
                    const torch::Tensor& inverse_scale = {}) = 0;

  /// Copies of parameters in a narrower dtype, with which a network computes (LowPrecisionWeights),
  /// one for each parameter, undefined where there is none. From now on such a parameter's gradient
  /// is its copy's, and step() writes the new values to both (fused_update).
  virtual void use_copies(std::vector<torch::Tensor> copies) { copies_ = std::move(copies); }

 protected:
  [[nodiscard]] const std::vector<torch::Tensor>& copies() const { return copies_; }

 private:
  std::vector<torch::Tensor> copies_;
};

/// Builds `config.name` over the parameters; with `config.groups`, one for each group, of which
/// each parameter belongs to the first that means its name (core/name_pattern.h). Without
/// `config.decay_norm_and_bias`, parameters of at most one dimension and those that are called
/// `*.bias` have no weight decay in any group (timm's filter_bias_and_bn). Errors (input): a group
/// that means no parameter, or whose options aren't right.
[[nodiscard]] std::unique_ptr<Optimizer> build_optimizer(const OptimizerConfig& config,
                                                         const NamedParameters& parameters);

/// The gradients of the parameters that have one.
[[nodiscard]] std::vector<torch::Tensor> gradients(const NamedParameters& parameters);

/// Scales gradients in place so that the norm of all of them together is at most `max_norm`
/// (torch.nn.utils.clip_grad_norm_), without waiting for the device. Returns the norm before.
torch::Tensor clip_gradients(const std::vector<torch::Tensor>& gradients, double max_norm);

}  // namespace xception
