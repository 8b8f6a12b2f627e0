#include "weights_average.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include "xception/core/error.h"
#include "xception/core/log.h"
#include "xception/core/output_path.h"
#include "xception/core/safetensors.h"
#include "xception/train/checkpoint.h"

namespace xception {
namespace {

at::ScalarType sum_type(const at::Tensor& tensor) {
  return tensor.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

/// Refuses tensors that aren't the first file's by name and shape. Errors (input).
void check_same(const WeightFile& first, const WeightFile& other) {
  for (const auto& [name, tensor] : first.tensors) {
    const auto found = other.tensors.find(name);
    if (found == other.tensors.end()) {
      throw input_error("weights", "{}: has no tensor {}, which {} has; expected the same model",
                        other.file.string(), name, first.file.string());
    }
    if (found->second.sizes() == tensor.sizes()) continue;
    throw input_error("weights", "{}: tensor {} is [{}], but in {} it is [{}]", other.file.string(),
                      name, fmt::join(found->second.sizes().vec(), ", "), first.file.string(),
                      fmt::join(tensor.sizes().vec(), ", "));
  }
  for (const auto& [name, tensor] : other.tensors) {
    if (first.tensors.contains(name)) continue;
    throw input_error("weights", "{}: tensor {} is not in {}; expected the same model",
                      other.file.string(), name, first.file.string());
  }
}

}  // namespace

void average_weights(const std::vector<std::string>& files, const std::string& out,
                     bool overwrite) {
  if (files.size() < 2) {
    throw input_error("weights", "average: found {} file; expected at least two", files.size());
  }
  if (!overwrite) refuse_existing(out, "--out", "weights");
  const auto first = read_file_or_run(files.front());
  TensorMap sums;
  for (const auto& [name, tensor] : first.tensors) {
    sums[name] = tensor.is_floating_point() ? tensor.to(sum_type(tensor), false, true) : tensor;
  }
  // One file at a time: they may be large.
  for (std::size_t i = 1; i < files.size(); ++i) {
    const auto other = read_file_or_run(files[i]);
    check_same(first, other);
    for (auto& [name, sum] : sums) {
      const auto& tensor = other.tensors.at(name);
      if (sum.is_floating_point()) {
        sum.add_(tensor.to(sum.scalar_type()));
      } else {
        sum = tensor;
      }
    }
  }
  for (auto& [name, sum] : sums) {
    if (sum.is_floating_point()) sum.div_(static_cast<double>(files.size()));
    sum = sum.to(first.tensors.at(name).scalar_type()).contiguous();
  }
  auto metadata = first.metadata;
  metadata.try_emplace("format", "pt");  // which libraries of Python ask for
  (void)save_safetensors(out, sums, metadata);
  spdlog::info("{}: the mean of {} files, {} tensors", out, files.size(), sums.size());
}

}  // namespace xception
