#include "xception/parallel/failure_cause.h"

#include "xception/core/device_fault.h"
#include "xception/core/memory.h"
#include "xception/parallel/device.h"
#include "xception/parallel/device_memory.h"

namespace xception {
namespace {

/// Little: a step's workspaces may not find a place in less than this share of the memory.
constexpr std::int64_t kLittle = 10;

bool says_little(std::string_view text) {
  for (const std::string_view words :
       {"unable to find an engine", "CUBLAS_STATUS_INTERNAL_ERROR", "CUBLAS_STATUS_NOT_INITIALIZED",
        "CUDNN_STATUS_INTERNAL_ERROR", "CUDNN_STATUS_NOT_INITIALIZED", "unhandled cuda error",
        "CUBLAS_STATUS_EXECUTION_FAILED", "CUBLAS_STATUS_MAPPING_ERROR",
        "CUDNN_STATUS_EXECUTION_FAILED"}) {
    if (text.find(words) != std::string_view::npos) return true;
  }
  return false;
}

bool short_of_memory(const torch::Device& device) {
  return available_memory_bytes(device) < describe_device(device).memory_bytes / kLittle;
}

}  // namespace

FailureCause cause_of(std::string_view text, const DeviceProbe& probe) {
  if (is_out_of_memory(text)) return FailureCause::memory;
  if (is_device_fault(text)) return FailureCause::device_fault;
  if (!says_little(text)) return FailureCause::other;
  if (!probe.works()) return FailureCause::device_fault;
  return probe.short_of_memory() ? FailureCause::memory : FailureCause::other;
}

FailureCause cause_of(std::string_view text, const torch::Device& device) {
  if (!device.is_cuda()) {
    return cause_of(
        text, DeviceProbe{.works = [] { return true; }, .short_of_memory = [] { return false; }});
  }
  return cause_of(text, DeviceProbe{.works = [&] { return answers(device); },
                                    .short_of_memory = [&] { return short_of_memory(device); }});
}

}  // namespace xception
