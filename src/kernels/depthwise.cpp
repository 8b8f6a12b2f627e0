#include "xception/kernels/depthwise.h"

#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <array>

#include "checks.h"
#include "operations.h"
#include "xception/core/error.h"

namespace xception {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

constexpr const char* kDepthwise = "fused_depthwise";
constexpr const char* kBesideName = "fused_depthwise_beside";
constexpr const char* kBnName = "fused_bn_depthwise";

void save_options(AutogradContext* context, const WindowOptions& options, bool relu) {
  context->saved_data["stride"] = options.stride;
  context->saved_data["padding"] = options.padding;
  context->saved_data["relu"] = relu;
}

WindowOptions saved_window(AutogradContext* context) {
  return {.stride = context->saved_data["stride"].toInt(),
          .padding = context->saved_data["padding"].toInt()};
}

class Depthwise : public torch::autograd::Function<Depthwise> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight, const WindowOptions& options,
                               bool relu) {
    context->save_for_backward({x, weight});
    save_options(context, options, relu);
    return operations_for(x).depthwise_forward(x, {.relu = relu}, weight, options);
  }

  static tensor_list backward(AutogradContext* context, const tensor_list& gradients) {
    check_first_order(kDepthwise);
    const auto saved = context->get_saved_variables();
    const auto& x = saved[0];
    const auto result = operations_for(x).depthwise_backward(as_image(gradients[0], x), x, {},
                                                             context->saved_data["relu"].toBool(),
                                                             saved[1], saved_window(context));
    return {result.input, result.weight, {}, {}};
  }
};

/// As Depthwise, with x as a second result, whose gradient backward adds.
class DepthwiseBeside : public torch::autograd::Function<DepthwiseBeside> {
 public:
  static tensor_list forward(AutogradContext* context, const torch::Tensor& x,
                             const torch::Tensor& weight, const WindowOptions& options, bool relu) {
    context->save_for_backward({x, weight});
    save_options(context, options, relu);
    return {operations_for(x).depthwise_forward(x, {.relu = relu}, weight, options),
            same_memory(x)};
  }

  static tensor_list backward(AutogradContext* context, const tensor_list& gradients) {
    check_first_order(kBesideName);
    const auto saved = context->get_saved_variables();
    const auto& x = saved[0];
    const auto beside = gradients[1].defined() ? as_image(gradients[1], x) : at::Tensor();
    const auto result = operations_for(x).depthwise_backward(
        as_image(gradients[0], x), x, {}, context->saved_data["relu"].toBool(), saved[1],
        saved_window(context), beside);
    return {result.input, result.weight, {}, {}};
  }
};

class BnDepthwise : public torch::autograd::Function<BnDepthwise> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& bn_weight, const torch::Tensor& bn_bias,
                               const torch::Tensor& weight, const BatchNormArguments& bn,
                               const WindowOptions& options, bool relu) {
    const auto& operations = operations_for(x);
    BatchNormArguments arguments = bn;
    arguments.weight = bn_weight;
    arguments.bias = bn_bias;
    const auto state = operations.statistics(x, arguments);
    context->save_for_backward({x, weight, state.coefficients, state.statistics, bn_weight});
    save_options(context, options, relu);
    context->saved_data["training"] = bn.training;
    return operations.depthwise_forward(x, {.coefficients = state.coefficients, .relu = relu},
                                        weight, options);
  }

  static tensor_list backward(AutogradContext* context, const tensor_list& gradients) {
    check_first_order(kBnName);
    const auto saved = context->get_saved_variables();
    const auto& x = saved[0];
    const auto& coefficients = saved[2];
    const auto batch_norm =
        batch_norm_of(coefficients, saved[3], saved[4], context->saved_data["training"].toBool());
    const auto& operations = operations_for(x);
    const auto result = operations.depthwise_backward(as_image(gradients[0], x), x, batch_norm,
                                                      context->saved_data["relu"].toBool(),
                                                      saved[1], saved_window(context));
    // The ReLU's mask is in result.input already.
    const auto dx = operations.bn_backward(result.input, x, {}, {.coefficients = coefficients},
                                           result.batch_norm.input, {});
    return {dx, result.batch_norm.weight, result.batch_norm.bias, result.weight, {}, {}, {}};
  }
};

/// x as autocast would give it to a convolution.
torch::Tensor autocast_image(const torch::Tensor& x) {
  const auto device = x.device().type();
  if (!at::autocast::is_autocast_enabled(device) || x.scalar_type() == at::kDouble) return x;
  return x.to(at::autocast::get_autocast_dtype(device));
}

WindowOptions checked(const char* name, const torch::Tensor& x, const torch::Tensor& weight,
                      const DepthwiseOptions& options) {
  check_image(name, x);
  const WindowOptions window{.stride = options.stride, .padding = options.padding};
  const bool known =
      (window.stride == 1 || window.stride == 2) && (window.padding == 0 || window.padding == 1);
  if (!known || x.size(2) + 2 * window.padding < 3 || x.size(3) + 2 * window.padding < 3) {
    throw run_error("kernels",
                    "{}: stride {}, padding {} on {} x {}; expected stride 1 or 2, "
                    "padding 0 or 1, and an image no smaller than the window",
                    name, window.stride, window.padding, x.size(2), x.size(3));
  }
  const auto dtype = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const std::array<std::int64_t, 4> sizes{x.size(1), 1, 3, 3};
  if (weight.sizes() != at::IntArrayRef(sizes) || weight.scalar_type() != dtype ||
      weight.device() != x.device()) {
    throw run_error("kernels", "{}: the weight is {} {} on {}, expected {} {} on {}", name,
                    c10::str(weight.sizes()), c10::toString(weight.scalar_type()),
                    weight.device().str(), c10::str(at::IntArrayRef(sizes)), c10::toString(dtype),
                    x.device().str());
  }
  return window;
}

}  // namespace

torch::Tensor fused_depthwise(const torch::Tensor& x, const torch::Tensor& weight,
                              const DepthwiseOptions& options, bool relu) {
  const auto image = autocast_image(x);
  return Depthwise::apply(image, weight, checked(kDepthwise, image, weight, options), relu);
}

DepthwiseAndInput fused_depthwise_beside(const torch::Tensor& x, const torch::Tensor& weight,
                                         const DepthwiseOptions& options, bool relu) {
  const auto image = autocast_image(x);
  const auto results =
      DepthwiseBeside::apply(image, weight, checked(kBesideName, image, weight, options), relu);
  return {.convolved = results[0], .input = results[1]};
}

torch::Tensor fused_bn_depthwise(const torch::Tensor& x, const BatchNormArguments& bn, bool relu,
                                 const torch::Tensor& weight, const DepthwiseOptions& options) {
  const auto image = autocast_image(x);
  const auto window = checked(kBnName, image, weight, options);
  check_batch_norm(kBnName, image, bn);
  return BnDepthwise::apply(image, bn.weight, bn.bias, weight, bn, window, relu);
}

}  // namespace xception
