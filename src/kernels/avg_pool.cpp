#include "xception/kernels/avg_pool.h"

#include <ATen/ops/avg_pool2d.h>
#include <torch/csrc/autograd/custom_function.h>

#include "checks.h"
#include "operations.h"
#include "xception/core/error.h"

namespace xception {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

constexpr const char* kAvgPool = "fused_avg_pool";

class AvgPool : public torch::autograd::Function<AvgPool> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x, std::int64_t size,
                               std::int64_t stride) {
    context->saved_data["sizes"] = x.sizes().vec();
    context->saved_data["size"] = size;
    context->saved_data["stride"] = stride;
    return at::avg_pool2d(x, size, stride);
  }

  static tensor_list backward(AutogradContext* context, const tensor_list& gradients) {
    check_first_order(kAvgPool);
    const auto dy = as_image(gradients[0], gradients[0]);
    const auto sizes = context->saved_data["sizes"].toIntVector();
    return {operations_for(dy).average_backward(dy, sizes, context->saved_data["size"].toInt(),
                                                context->saved_data["stride"].toInt()),
            {},
            {}};
  }
};

}  // namespace

torch::Tensor fused_avg_pool(const torch::Tensor& x, std::int64_t size, std::int64_t stride) {
  check_image(kAvgPool, x);
  if (size < 1 || stride < 1 || x.size(2) < size || x.size(3) < size) {
    throw run_error("kernels",
                    "{}: size {}, stride {} on {} x {}; expected an image no smaller "
                    "than the window",
                    kAvgPool, size, stride, x.size(2), x.size(3));
  }
  return AvgPool::apply(x, size, stride);
}

}  // namespace xception
