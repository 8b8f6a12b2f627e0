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

constexpr const char* kName = "fused_max_pool";

class MaxPool : public torch::autograd::Function<MaxPool> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x,
                               const std::optional<torch::Tensor>& added, std::int64_t padding,
                               bool with_index) {
    const auto residual = added.value_or(torch::Tensor());
    const auto pooled = operations_for(x).pool_forward(x, residual, window(padding), with_index);
    context->save_for_backward({pooled.index});
    context->saved_data["sizes"] = x.sizes().vec();
    context->saved_data["padding"] = padding;
    context->saved_data["residual"] = residual.defined();
    return pooled.values;
  }

  static tensor_list backward(AutogradContext* context, const tensor_list& gradients) {
    check_first_order(kName);
    const auto dy = as_image(gradients[0], gradients[0]);
    const auto index = context->get_saved_variables()[0];
    torch::Tensor dx;
    if (index.defined()) {
      dx = operations_for(dy).pool_backward(dy, index, context->saved_data["sizes"].toIntVector(),
                                            window(context->saved_data["padding"].toInt()));
    }
    const bool with_residual = context->saved_data["residual"].toBool();
    return {dx, with_residual ? dy : torch::Tensor(), {}, {}};
  }

 private:
  static WindowOptions window(std::int64_t padding) { return {.stride = 2, .padding = padding}; }
};

}  // namespace

torch::Tensor fused_max_pool(const torch::Tensor& x, std::int64_t padding,
                             const torch::Tensor& residual) {
  check_image(kName, x);
  const WindowOptions window{.stride = 2, .padding = padding};
  if (padding < 0 || padding > 1 || x.size(2) + 2 * padding < 3 || x.size(3) + 2 * padding < 3) {
    throw run_error("kernels",
                    "{}: padding {} on {} x {}; expected 0 or 1, and an image no "
                    "smaller than the window",
                    kName, padding, x.size(2), x.size(3));
  }
  std::optional<torch::Tensor> added;  // autograd takes no undefined tensor
  if (residual.defined()) {
    const std::array<std::int64_t, 4> sizes{x.size(0), x.size(1),
                                            window_positions(x.size(2), window),
                                            window_positions(x.size(3), window)};
    check_like(kName, "residual", residual, sizes, x);
    added = residual.contiguous(at::MemoryFormat::ChannelsLast);
  }
  const bool with_index = at::GradMode::is_enabled() && x.requires_grad();
  return MaxPool::apply(x, added, padding, with_index);
}

}  // namespace xception
