#include "xception/kernels/max_pool.h"

#include <torch/csrc/autograd/custom_function.h>

#include <array>
#include <optional>

#include "checks.h"
#include "operations.h"
#include "xception/core/error.h"

namespace xception {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

constexpr const char* kMaxPool = "fused_max_pool";

WindowOptions max_pool_window(std::int64_t padding) {
  return {.stride = 2, .padding = padding};
}

class MaxPool : public torch::autograd::Function<MaxPool> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x,
                               const std::optional<torch::Tensor>& added, std::int64_t padding,
                               bool with_index) {
    const auto residual = added.value_or(torch::Tensor());
    const auto pooled =
        operations_for(x).pool_forward(x, residual, max_pool_window(padding), with_index);
    context->save_for_backward({pooled.index});
    context->saved_data["sizes"] = x.sizes().vec();
    context->saved_data["padding"] = padding;
    context->saved_data["residual"] = residual.defined();
    return pooled.values;
  }

  static tensor_list backward(AutogradContext* context, const tensor_list& gradients) {
    check_first_order(kMaxPool);
    const auto dy = as_image(gradients[0], gradients[0]);
    const auto index = context->get_saved_variables()[0];
    torch::Tensor dx;
    if (index.defined()) {
      dx =
          operations_for(dy).pool_backward(dy, index, context->saved_data["sizes"].toIntVector(),
                                           max_pool_window(context->saved_data["padding"].toInt()));
    }
    const bool with_residual = context->saved_data["residual"].toBool();
    return {dx, with_residual ? dy : torch::Tensor(), {}, {}};
  }
};

class BnMaxPool : public torch::autograd::Function<BnMaxPool> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight, const torch::Tensor& bias,
                               const std::optional<torch::Tensor>& added,
                               const BatchNormArguments& bn, bool relu, std::int64_t padding,
                               bool with_index) {
    const auto& operations = operations_for(x);
    BatchNormArguments arguments = bn;
    arguments.weight = weight;
    arguments.bias = bias;
    const auto state = operations.statistics(x, arguments);
    const auto pooled = operations.bn_pool_forward(
        x, {.coefficients = state.coefficients, .relu = relu}, added.value_or(torch::Tensor()),
        max_pool_window(padding), with_index);
    context->save_for_backward(
        {x, pooled.index, pooled.source, state.coefficients, state.statistics, weight});
    context->saved_data["relu"] = relu;
    context->saved_data["training"] = bn.training;
    context->saved_data["padding"] = padding;
    context->saved_data["residual"] = added.has_value();
    return pooled.values;
  }

  static tensor_list backward(AutogradContext* context, const tensor_list& gradients) {
    check_first_order("fused_bn_max_pool");
    const auto saved = context->get_saved_variables();
    const auto& x = saved[0];
    const auto& index = saved[1];
    const auto& source = saved[2];
    const bool relu = context->saved_data["relu"].toBool();
    const auto dy = as_image(gradients[0], x);
    const auto residual = context->saved_data["residual"].toBool() ? dy : torch::Tensor();
    if (!index.defined()) return {{}, {}, {}, residual, {}, {}, {}, {}};
    auto bn = batch_norm_of(saved[3], saved[4], saved[5], context->saved_data["training"].toBool());
    bn.count = x.numel() / x.size(1);
    const auto& operations = operations_for(x);
    const auto reduced = operations.bn_reduce(dy, source, /*output=*/{}, bn, relu);
    const auto dx = operations.bn_pool_backward(
        dy, index, x, {.coefficients = saved[3], .relu = relu}, reduced.input,
        max_pool_window(context->saved_data["padding"].toInt()));
    return {dx, reduced.weight, reduced.bias, residual, {}, {}, {}, {}};
  }
};

/// The residual as autograd takes it, which takes no undefined tensor.
/// Error (run): padding, an image smaller than the window, or another residual than fits.
std::optional<torch::Tensor> checked_residual(const char* operation, const torch::Tensor& x,
                                              std::int64_t padding, const torch::Tensor& residual) {
  if (padding < 0 || padding > 1 || x.size(2) + 2 * padding < 3 || x.size(3) + 2 * padding < 3) {
    throw run_error("kernels",
                    "{}: padding {} on {} x {}; expected 0 or 1, and an image no "
                    "smaller than the window",
                    operation, padding, x.size(2), x.size(3));
  }
  if (!residual.defined()) return std::nullopt;
  const auto window = max_pool_window(padding);
  const std::array<std::int64_t, 4> sizes{x.size(0), x.size(1), window_positions(x.size(2), window),
                                          window_positions(x.size(3), window)};
  check_like(operation, "residual", residual, sizes, x);
  return residual.contiguous(at::MemoryFormat::ChannelsLast);
}

}  // namespace

torch::Tensor fused_max_pool(const torch::Tensor& x, std::int64_t padding,
                             const torch::Tensor& residual) {
  check_image(kMaxPool, x);
  const auto added = checked_residual(kMaxPool, x, padding, residual);
  const bool with_index = at::GradMode::is_enabled() && x.requires_grad();
  return MaxPool::apply(x, added, padding, with_index);
}

torch::Tensor fused_bn_max_pool(const torch::Tensor& x, const BatchNormArguments& bn, bool relu,
                                std::int64_t padding, const torch::Tensor& residual) {
  constexpr const char* name = "fused_bn_max_pool";
  check_image(name, x);
  check_batch_norm(name, x, bn);
  const auto added = checked_residual(name, x, padding, residual);
  const bool with_index =
      at::GradMode::is_enabled() &&
      (x.requires_grad() || bn.weight.requires_grad() || bn.bias.requires_grad());
  return BnMaxPool::apply(x, bn.weight, bn.bias, added, bn, relu, padding, with_index);
}

}  // namespace xception
