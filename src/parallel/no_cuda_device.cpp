#include "cuda_device.h"
#include "xception/core/error.h"

namespace xception {
namespace {

[[noreturn]] void fail() {
  throw run_error("device", "this build has no CUDA");
}

}  // namespace

DeviceInfo describe_cuda_device(const torch::Device&) {
  fail();
}
int cuda_driver_version() {
  fail();
}
std::string cuda_device_identity(const torch::Device&) {
  fail();
}
bool cuda_device_answers(const torch::Device&) {
  fail();
}
void synchronize_cuda_device(const torch::Device&) {
  fail();
}
std::int64_t cuda_peak_memory_bytes(const torch::Device&) {
  fail();
}
std::int64_t cuda_used_memory_bytes(const torch::Device&) {
  fail();
}
std::int64_t cuda_available_memory_bytes(const torch::Device&) {
  fail();
}
void reset_cuda_peak_memory(const torch::Device&) {
  fail();
}
void release_cuda_unused_memory() {
  fail();
}

}  // namespace xception
