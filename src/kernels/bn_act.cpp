#include "xception/kernels/bn_act.h"

#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>

#include "checks.h"
#include "operations.h"

namespace xception {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

constexpr const char* kBnAct = "fused_bn_act";

class BnAct : public torch::autograd::Function<BnAct> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight, const torch::Tensor& bias,
                               const std::optional<torch::Tensor>& added,
                               const BatchNormArguments& bn, bool relu) {
    const auto residual = added.value_or(torch::Tensor());
    const auto& operations = operations_for(x);
    BatchNormArguments arguments = bn;
    arguments.weight = weight;
    arguments.bias = bias;
    const auto state = operations.statistics(x, arguments);
    auto y = operations.bn_forward(x, residual, {.coefficients = state.coefficients, .relu = relu});
    const bool from_output = relu && residual.defined();
    context->save_for_backward(
        {x, from_output ? y : torch::Tensor(), state.coefficients, state.statistics, weight});
    context->saved_data["relu"] = relu;
    context->saved_data["training"] = bn.training;
    context->saved_data["residual"] = residual.defined();
    return y;
  }

  static tensor_list backward(AutogradContext* context, const tensor_list& gradients) {
    check_first_order(kBnAct);
    const auto saved = context->get_saved_variables();
    const auto& x = saved[0];
    const auto& output = saved[1];
    const bool relu = context->saved_data["relu"].toBool();
    const bool with_residual = context->saved_data["residual"].toBool();
    const auto batch_norm =
        batch_norm_of(saved[2], saved[3], saved[4], context->saved_data["training"].toBool());
    const auto dy = as_rows(gradients[0], x);
    const auto& operations = operations_for(x);
    const auto reduced = operations.bn_reduce(dy, x, output, batch_norm, relu);
    // Without a ReLU the residual's gradient is the output's.
    torch::Tensor d_residual;
    if (with_residual) d_residual = relu ? at::empty_like(x) : dy;
    const auto dx = operations.bn_backward(dy, x, output, {.coefficients = saved[2], .relu = relu},
                                           reduced.input, relu ? d_residual : torch::Tensor());
    return {dx, reduced.weight, reduced.bias, d_residual, {}, {}};
  }
};

}  // namespace

torch::Tensor fused_bn_act(const torch::Tensor& x, const BatchNormArguments& bn, bool relu,
                           const torch::Tensor& residual) {
  check_image(kBnAct, x);
  check_batch_norm(kBnAct, x, bn);
  std::optional<torch::Tensor> added;  // autograd takes no undefined tensor
  if (residual.defined()) {
    check_like(kBnAct, "residual", residual, x.sizes(), x);
    added = residual.contiguous(at::MemoryFormat::ChannelsLast);
  }
  return BnAct::apply(x, bn.weight, bn.bias, added, bn, relu);
}

}  // namespace xception
