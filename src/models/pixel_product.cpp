#include "xception/models/pixel_product.h"

#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "xception/kernels/worker_pool.h"

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

/// Multiply-adds below which a part isn't worth a thread of its own.
constexpr std::int64_t kPartCost = 1 << 22;
/// More would share the work out more evenly, but each part prepares the whole of `b` for itself.
constexpr std::int64_t kPartsAThread = 2;

/// out = a b, in parts of out's rows.
void multiply(torch::Tensor& out, const torch::Tensor& a, const torch::Tensor& b) {
  const auto rows = a.size(0);
  const auto cost = rows * a.size(1) * b.size(1);
  const auto parts = std::min({rows, cost / kPartCost, kPartsAThread * at::get_num_threads()});
  if (parts <= 1) {
    at::mm_out(out, a, b);
    return;
  }
  run_parts(parts, [&](std::int64_t part) {
    const at::NoGradGuard no_grad;
    const auto first = rows * part / parts;
    const auto count = rows * (part + 1) / parts - first;
    auto own = out.narrow(0, first, count);
    at::mm_out(own, a.narrow(0, first, count), b);
  });
}

/// x (M, K), weight (N, K) -> (M, N)
class Product : public torch::autograd::Function<Product> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight) {
    context->save_for_backward({x, weight});
    auto y = at::empty({x.size(0), weight.size(0)}, x.options());
    multiply(y, x, weight.t());
    return y;
  }

  static tensor_list backward(AutogradContext* context, const tensor_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto& x = saved[0];
    const auto& weight = saved[1];
    const auto dy = gradients[0].contiguous();
    tensor_list result(2);
    if (context->needs_input_grad(0)) {
      result[0] = at::empty_like(x);
      multiply(result[0], dy, weight);
    }
    if (context->needs_input_grad(1)) {
      result[1] = at::empty_like(weight);
      multiply(result[1], dy.t(), x);
    }
    return result;
  }
};

/// Whether LibTorch would multiply these two as they are.
bool as_they_are(const torch::Tensor& x, const torch::Tensor& weight) {
  if (x.scalar_type() != weight.scalar_type()) return false;
  return !at::autocast::is_autocast_enabled(at::kCPU) ||
         x.scalar_type() == at::autocast::get_autocast_dtype(at::kCPU);
}

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
  const auto pixels = x.permute({0, 2, 3, 1});
  if (bias.defined() || !pixels.is_contiguous() || !as_they_are(x, rows)) {
    return at::linear(pixels, rows, bias).permute({0, 3, 1, 2});
  }
  const auto y = Product::apply(pixels.flatten(0, 2), rows);
  return y.unflatten(0, {x.size(0), x.size(2), x.size(3)}).permute({0, 3, 1, 2});
}

}  // namespace xception
