#include "checks.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include "xception/core/error.h"

namespace xception {
namespace {

const Operations* cpu_stand_in = nullptr;

}  // namespace

namespace {

/// Whether there are kernels for x's dtype and device.
bool fits_kernels(const at::Tensor& x) {
  const auto dtype = x.scalar_type();
  if (dtype != at::kFloat && dtype != at::kDouble && dtype != at::kHalf && dtype != at::kBFloat16) {
    return false;
  }
  return x.is_cpu() || (x.is_cuda() && cuda_operations() != nullptr);
}

[[noreturn]] void throw_not_an_image(const char* operation, const at::Tensor& x) {
  throw run_error("kernels",
                  "{}: {} dimensions, {}, {}; expected a 4-D channels_last image of a floating "
                  "dtype on a device of this build",
                  operation, x.dim(), c10::toString(x.scalar_type()), x.device().str());
}

}  // namespace

bool can_fuse_image(const torch::Tensor& x) {
  return x.dim() == 4 && x.numel() > 0 && x.is_contiguous(at::MemoryFormat::ChannelsLast) &&
         fits_kernels(x);
}

std::int64_t row_stride(const at::Tensor& x) {
  if (x.dim() != 4 || (x.size(1) > 1 && x.stride(1) != 1)) return 0;
  std::int64_t stride = -1;
  std::int64_t pixels = 1;
  for (const int axis : {3, 2, 0}) {
    if (x.size(axis) > 1) {  // else its stride says nothing
      if (stride < 0) stride = x.stride(axis) / pixels;
      if (x.stride(axis) != stride * pixels) return 0;
    }
    pixels *= x.size(axis);
  }
  if (stride < 0) return x.size(1);
  return stride >= x.size(1) ? stride : 0;
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
  if (!can_fuse_image(x)) throw_not_an_image(operation, x);
}

void check_rows(const char* operation, const at::Tensor& x) {
  if (row_stride(x) == 0 || x.numel() == 0 || !fits_kernels(x)) throw_not_an_image(operation, x);
}

void check_place(const char* operation, const at::Tensor& place, const at::Tensor& x) {
  check_like(operation, "place of a result", place, x.sizes(), x);
  if (row_stride(place) > 0 && !place.requires_grad()) return;
  throw run_error("kernels",
                  "{}: a result's place must be a channel slice of a channels_last tensor without "
                  "a gradient",
                  operation);
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

at::Tensor as_rows(const at::Tensor& gradient, const at::Tensor& x) {
  return row_stride(gradient) > 0 ? gradient.to(x.scalar_type()) : as_image(gradient, x);
}

BatchNormSaved batch_norm_of(const at::Tensor& coefficients, const at::Tensor& statistics,
                             const at::Tensor& weight, bool training) {
  return {.state = {.coefficients = coefficients, .statistics = statistics},
          .weight = weight,
          .training = training};
}

at::Tensor same_memory(const at::Tensor& x) {
  auto own = at::empty({0}, x.options().memory_format(c10::nullopt));
  return own.set_(x.storage(), x.storage_offset(), x.sizes(), x.strides());
}

}  // namespace xception
