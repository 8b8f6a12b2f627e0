#include "xception/kernels/parameter_update.h"

#include "operations.h"
#include "tensor_access.h"
#include "xception/core/error.h"

namespace xception {
namespace {

raw::UpdateRule rule_of(const OptimizerConfig& config) {
  raw::UpdateRule rule{.beta1 = config.beta1,
                       .beta2 = config.beta2,
                       .eps = config.eps,
                       .momentum = config.momentum,
                       .weight_decay = config.weight_decay};
  if (config.name == "adam") return rule;
  rule.kind = config.name == "adamw" ? raw::UpdateKind::adamw : raw::UpdateKind::sgd;
  if (config.name == "adamw" || config.name == "sgd") return rule;
  throw run_error("kernels", "fused_update: {} is none of adam, adamw, sgd", config.name);
}

/// Whether values of both follow each other in the same order in memory.
bool fits(const torch::Tensor& tensor, const torch::Tensor& parameter, torch::ScalarType dtype) {
  return tensor.defined() && tensor.scalar_type() == dtype &&
         tensor.device() == parameter.device() && tensor.sizes() == parameter.sizes() &&
         tensor.strides() == parameter.strides();
}

void check(const ParameterUpdate& update, const ParameterUpdate& as, raw::UpdateKind kind) {
  const auto& [parameter, gradient, first, second, copy] = update;
  const bool adam = kind != raw::UpdateKind::sgd;
  const auto arithmetic = arithmetic_of(gradient);
  if (parameter.scalar_type() == arithmetic && parameter.is_non_overlapping_and_dense() &&
      parameter.device() == as.parameter.device() &&
      fits(gradient, parameter, as.gradient.scalar_type()) &&
      (first.defined() ? fits(first, parameter, arithmetic) : !adam) &&
      (adam ? fits(second, parameter, arithmetic) : !second.defined()) &&
      (!copy.defined() || fits(copy, parameter, gradient.scalar_type()))) {
    return;
  }
  throw run_error("kernels", "fused_update: the tensors of a parameter {} {} don't fit each other",
                  c10::str(parameter.sizes()), c10::toString(parameter.scalar_type()));
}

}  // namespace

void fused_update(const std::vector<ParameterUpdate>& updates, const OptimizerConfig& config,
                  const UpdateScalars& scalars) {
  if (updates.empty()) return;
  const auto rule = rule_of(config);
  for (const auto& update : updates) check(update, updates.front(), rule.kind);
  const auto& device = updates.front().parameter.device();
  const auto needs = [&](const char* name, const torch::Tensor& scalar, bool must_be) {
    if (scalar.defined()
            ? scalar.numel() == 1 && scalar.device() == device &&
                  (scalar.scalar_type() == at::kFloat || scalar.scalar_type() == at::kDouble)
            : !must_be) {
      return;
    }
    throw run_error("kernels", "fused_update: {} isn't one float on {}", name, device.str());
  };
  needs("lr", scalars.lr, true);
  needs("step", scalars.step, rule.kind != raw::UpdateKind::sgd);
  needs("inverse_scale", scalars.inverse_scale, false);
  needs("found_inf", scalars.found_inf, false);
  operations_for(updates.front().parameter).update({updates, rule, scalars});
}

}  // namespace xception
