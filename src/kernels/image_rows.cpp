#include "xception/kernels/image_rows.h"

#include <ATen/core/grad_mode.h>

#include "operations.h"
#include "tensor_access.h"
#include "xception/core/error.h"

namespace xception {
namespace {

constexpr const char* kImageRows = "fused_image_rows";

/// fits: whether the shape does.
void check_values(const char* name, const torch::Tensor& values, bool fits,
                  const torch::Tensor& columns) {
  if (at::GradMode::is_enabled() && values.requires_grad()) {
    throw run_error("kernels", "{}: there is no gradient of the {}", kImageRows, name);
  }
  if (fits && values.scalar_type() == at::kFloat && values.device() == columns.device()) return;
  throw run_error("kernels", "{}: the {} is {} {} on {}, with columns {} on {}", kImageRows, name,
                  c10::str(values.sizes()), c10::toString(values.scalar_type()),
                  values.device().str(), c10::str(columns.sizes()), columns.device().str());
}

void check_all(const torch::Tensor& columns, const torch::Tensor& rows, const torch::Tensor& scale,
               const torch::Tensor& offset) {
  check_values("columns", columns,
               columns.dim() == 3 && columns.size(1) > 0 && columns.size(2) % raw::kColors == 0,
               columns);
  if (rows.defined()) {
    const bool fits = rows.dim() == 3 && (rows.size(0) == 1 || rows.size(0) == columns.size(0)) &&
                      rows.size(1) > 0 && rows.size(2) == columns.size(1);
    check_values("rows", rows, fits, columns);
  }
  check_values("scale", scale, scale.dim() == 1 && scale.size(0) == raw::kColors, columns);
  check_values("offset", offset, offset.dim() == 1 && offset.size(0) == raw::kColors, columns);
}

}  // namespace

bool image_rows_run_on(const torch::Device& device) {
  return device.is_cpu() || (device.is_cuda() && cuda_operations() != nullptr);
}

torch::Tensor fused_image_rows(const torch::Tensor& columns, const torch::Tensor& rows,
                               const torch::Tensor& scale, const torch::Tensor& offset,
                               torch::ScalarType dtype) {
  check_all(columns, rows, scale, offset);
  if (columns.numel() == 0) return image_for_rows(columns, rows, dtype);
  return operations_for(columns).image_rows(columns.contiguous(),
                                            rows.defined() ? rows.contiguous() : rows,
                                            scale.contiguous(), offset.contiguous(), dtype);
}

}  // namespace xception
