#include "checks.h"

#include <ATen/core/grad_mode.h>

#include "xception/core/error.h"

namespace xception {
namespace {

const Operations* cpu_stand_in = nullptr;

}  // namespace

bool fused_kernels_take(const torch::Tensor& x) {
  if (x.dim() != 4 || x.numel() == 0) return false;
  if (!x.is_contiguous(at::MemoryFormat::ChannelsLast)) return false;
  const auto dtype = x.scalar_type();
  if (dtype != at::kFloat && dtype != at::kDouble && dtype != at::kHalf && dtype != at::kBFloat16) {
    return false;
  }
  return x.is_cpu() || (x.is_cuda() && cuda_operations() != nullptr);
}

const Operations& operations_for(const at::Tensor& x) {
  if (x.is_cpu()) return cpu_stand_in != nullptr ? *cpu_stand_in : cpu_operations();
  if (x.is_cuda() && cuda_operations() != nullptr) return *cuda_operations();
  throw run_error("kernels", "no kernels for {} in this build", x.device().str());
}

void serve_cpu_tensors_with(const Operations* operations) {
  cpu_stand_in = operations;
}

void check_image(const char* operation, const at::Tensor& x) {
  if (fused_kernels_take(x)) return;
  throw run_error("kernels",
                  "{}: {} dimensions, {}, {}; expected a 4-D channels_last image of a floating "
                  "dtype on a device of this build",
                  operation, x.dim(), c10::toString(x.scalar_type()), x.device().str());
}

void check_like(const char* operation, const char* name, const at::Tensor& other,
                at::IntArrayRef sizes, const at::Tensor& x) {
  if (other.sizes() == sizes && other.scalar_type() == x.scalar_type() &&
      other.device() == x.device()) {
    return;
  }
  throw run_error("kernels", "{}: the {} is {} {} on {}, expected {} {} on {}", operation, name,
                  c10::str(other.sizes()), c10::toString(other.scalar_type()), other.device().str(),
                  c10::str(sizes), c10::toString(x.scalar_type()), x.device().str());
}

void check_batch_norm(const char* operation, const at::Tensor& x, const BatchNormArguments& bn) {
  const auto wanted = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  for (const auto* values : {&bn.weight, &bn.bias, &bn.running_mean, &bn.running_var}) {
    if (values->defined() && values->dim() == 1 && values->size(0) == x.size(1) &&
        values->scalar_type() == wanted && values->device() == x.device() &&
        values->is_contiguous()) {
      continue;
    }
    throw run_error("kernels", "{}: BatchNorm needs {} values of {} on {} for each parameter",
                    operation, x.size(1), c10::toString(wanted), x.device().str());
  }
  if (bn.training && x.numel() == x.size(1)) {
    throw run_error("kernels",
                    "{}: one value a channel has no variance; a training batch needs more",
                    operation);
  }
}

void check_first_order(const char* operation) {
  if (!at::GradMode::is_enabled()) return;
  throw run_error("kernels", "{}: gradients of gradients aren't there; use train.kernels=reference",
                  operation);
}

at::Tensor as_image(const at::Tensor& gradient, const at::Tensor& x) {
  return gradient.to(x.scalar_type()).contiguous(at::MemoryFormat::ChannelsLast);
}

BatchNormSaved batch_norm_of(const at::Tensor& coefficients, const at::Tensor& statistics,
                             const at::Tensor& weight, bool training) {
  return {.state = {.coefficients = coefficients, .statistics = statistics},
          .weight = weight,
          .training = training};
}

}  // namespace xception
