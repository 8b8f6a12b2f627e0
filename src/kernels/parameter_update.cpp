#include "xception/kernels/parameter_update.h"

#include "operations.h"
#include "tensor_access.h"
#include "xception/core/error.h"

namespace xception {
namespace {

/// Whether values of both follow each other in the same order in memory.
bool fits(const torch::Tensor& tensor, const torch::Tensor& parameter, torch::ScalarType dtype) {
  return tensor.defined() && tensor.scalar_type() == dtype &&
         tensor.device() == parameter.device() && tensor.sizes() == parameter.sizes() &&
         tensor.strides() == parameter.strides();
}

void check(const ParameterUpdate& update, const ParameterUpdate& as, UpdateKind kind) {
  const auto& [parameter, gradient, first, second, copy] = update;
  const bool adam = kind != UpdateKind::sgd;
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

void fused_update(const std::vector<ParameterUpdate>& updates, const UpdateRule& rule,
                  const UpdateScalars& scalars) {
  if (updates.empty()) return;
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
  needs("step", scalars.step, rule.kind != UpdateKind::sgd);
  needs("inverse_scale", scalars.inverse_scale, false);
  needs("found_inf", scalars.found_inf, false);
  operations_for(updates.front().parameter).update({updates, rule, scalars});
}

}  // namespace xception
