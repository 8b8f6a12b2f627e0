#include "xception/models/pixel_product.h"

#include <torch/csrc/autograd/custom_function.h>

namespace xception {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

/// The memory of a dense (C', C, 1, 1) tensor as (C', C); not a view for autograd.
torch::Tensor matrix_of(const torch::Tensor& weight) {
  return at::empty({0}, weight.options().requires_grad(false))
      .set_(weight.storage(), weight.storage_offset(), {weight.size(0), weight.size(1)},
            {weight.size(1), 1});
}

class Rows : public torch::autograd::Function<Rows> {
 public:
  /// weights: (C_i, C, 1, 1) -> (sum of C_i, C), in a dtype
  static torch::Tensor forward(AutogradContext* context, at::TensorList weights,
                               torch::Dtype dtype) {
    context->save_for_backward(weights.vec());
    if (weights.size() == 1 && weights[0].scalar_type() == dtype) return matrix_of(weights[0]);
    std::int64_t rows = 0;
    for (const auto& weight : weights) rows += weight.size(0);
    const auto joined = at::empty({rows, weights[0].size(1)}, weights[0].options().dtype(dtype));
    std::int64_t row = 0;
    for (const auto& weight : weights) {
      joined.narrow(0, row, weight.size(0)).copy_(weight.flatten(1));
      row += weight.size(0);
    }
    return joined;
  }

  static tensor_list backward(AutogradContext* context, const tensor_list& gradients) {
    const auto rows = gradients[0].contiguous();
    std::int64_t at = rows.storage_offset();
    tensor_list result;
    for (const auto& weight : context->get_saved_variables()) {
      result.push_back(rows.as_strided(weight.sizes(), weight.strides(), at));
      at += weight.numel();
    }
    result.emplace_back();
    return result;
  }
};

}  // namespace

torch::Tensor pixel_product(const torch::Tensor& x,
                            const std::vector<torch::nn::Conv2d>& convolutions) {
  std::vector<torch::Tensor> weights;
  for (const auto& convolution : convolutions) weights.push_back(convolution->weight);
  const auto rows = Rows::apply(at::TensorList(weights), x.scalar_type());
  const auto bias = weights.size() == 1 ? convolutions.front()->bias : torch::Tensor();
  if (x.is_cuda()) {
    // A convolution by its precision too (TF32); on a GPU nothing is reordered.
    return at::conv2d(x, rows.view({rows.size(0), rows.size(1), 1, 1}), bias);
  }
  return at::linear(x.permute({0, 2, 3, 1}), rows, bias).permute({0, 3, 1, 2});
}

}  // namespace xception
