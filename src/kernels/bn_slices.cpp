#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "checks.h"
#include "operations.h"
#include "xception/core/error.h"
#include "xception/kernels/bn_branches.h"

namespace xception {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

constexpr const char* kBnSlices = "fused_bn_slices";

/// What backward needs of a slice, as it lies among the saved variables.
struct SavedSlice {
  at::Tensor averaged;  ///< undefined where the slice itself was normalized
  BatchNormSaved bn;
};

constexpr std::size_t kSavedTensors = 4;

void save(std::vector<at::Tensor>& to, const at::Tensor& averaged, const BatchNormState& state,
          const at::Tensor& weight) {
  to.insert(to.end(), {averaged, state.coefficients, state.statistics, weight});
}

SavedSlice saved_slice(const std::vector<at::Tensor>& from, std::size_t i, bool training) {
  const auto* at = from.data() + i * kSavedTensors;
  return {.averaged = at[0], .bn = batch_norm_of(at[1], at[2], at[3], training)};
}

class BnSlices : public torch::autograd::Function<BnSlices> {
 public:
  /// parameters: weight and bias of each slice.
  static tensor_list forward(AutogradContext* context, const torch::Tensor& product,
                             at::TensorList parameters, const std::vector<BnSlice>& slices,
                             bool relu) {
    const auto& operations = operations_for(product);
    tensor_list results;
    std::vector<at::Tensor> saved;
    std::vector<std::int64_t> training;
    std::int64_t channel = 0;
    for (std::size_t i = 0; i < slices.size(); ++i) {
      const auto& slice = slices[i];
      BatchNormArguments bn = slice.bn;
      bn.weight = parameters[2 * i];
      bn.bias = parameters[2 * i + 1];
      auto x = product.narrow(1, channel, bn.weight.size(0));
      channel += x.size(1);
      if (slice.average) x = operations.average(x);
      const auto state = operations.statistics(x, bn);
      results.push_back(operations.bn_forward(
          x, /*residual=*/{}, {.coefficients = state.coefficients, .relu = relu},
          slice.to.defined() ? same_memory(slice.to) : at::Tensor()));
      save(saved, slice.average ? x : at::Tensor(), state, bn.weight);
      training.push_back(bn.training ? 1 : 0);
    }
    saved.push_back(product);
    context->save_for_backward(saved);
    context->saved_data["training"] = training;
    context->saved_data["relu"] = relu;
    return results;
  }

  static tensor_list backward(AutogradContext* context, const tensor_list& gradients) {
    check_first_order(kBnSlices);
    const auto saved = context->get_saved_variables();
    const auto training = context->saved_data["training"].toIntVector();
    const bool relu = context->saved_data["relu"].toBool();
    const auto& product = saved.back();
    const auto& operations = operations_for(product);
    const auto d_product = at::empty_like(product);
    tensor_list result{d_product};
    std::int64_t channel = 0;
    for (std::size_t i = 0; i < training.size(); ++i) {
      const auto slice = saved_slice(saved, i, training[i] != 0);
      const std::int64_t channels = slice.bn.weight.size(0);
      const bool average = slice.averaged.defined();
      const auto x = average ? slice.averaged : product.narrow(1, channel, channels);
      const auto dx = d_product.narrow(1, channel, channels);
      channel += channels;
      const auto dy = as_rows(gradients[i], x);
      const auto reduced = operations.bn_reduce(dy, x, /*output=*/{}, slice.bn, relu);
      const auto d_normalized = operations.bn_backward(
          dy, x, /*output=*/{}, {.coefficients = slice.bn.state.coefficients, .relu = relu},
          reduced.input, /*d_residual=*/{}, average ? at::Tensor() : dx);
      if (average) (void)operations.average(d_normalized, dx);
      result.insert(result.end(), {reduced.weight, reduced.bias});
    }
    result.insert(result.end(), 2, at::Tensor());
    return result;
  }
};

void check_slices(const torch::Tensor& product, const std::vector<BnSlice>& slices) {
  check_image(kBnSlices, product);
  std::int64_t total = 0;
  for (const auto& slice : slices) {
    total += slice.bn.weight.defined() ? slice.bn.weight.numel() : 0;
  }
  if (total != product.size(1)) {
    throw run_error("kernels", "{}: {} slices have {} channels, and the product has {}", kBnSlices,
                    slices.size(), total, product.size(1));
  }
  std::int64_t channel = 0;
  for (const auto& slice : slices) {
    const std::int64_t channels = slice.bn.weight.defined() ? slice.bn.weight.numel() : 0;
    const auto x = product.narrow(1, channel, channels);
    check_batch_norm(kBnSlices, x, slice.bn);
    if (slice.to.defined()) check_place(kBnSlices, slice.to, x);
    channel += channels;
  }
}

}  // namespace

std::vector<torch::Tensor> fused_bn_slices(const torch::Tensor& product,
                                           const std::vector<BnSlice>& slices, bool relu) {
  check_slices(product, slices);
  tensor_list parameters;
  for (const auto& slice : slices) {
    parameters.insert(parameters.end(), {slice.bn.weight, slice.bn.bias});
  }
  return BnSlices::apply(product, at::TensorList(parameters), slices, relu);
}

}  // namespace xception
