#include "xception/train/generators.h"

#include <ATen/Context.h>
#include <ATen/core/Generator.h>

#include <mutex>

#include "xception/core/error.h"

namespace xception {
namespace {

void restore(at::Generator generator, const State& state, const std::string& name) {
  const auto found = state.tensors.find(name);
  if (found == state.tensors.end()) {
    throw input_error("train", "checkpoint has no generator state {}", name);
  }
  const std::lock_guard lock(generator.mutex());
  generator.set_state(found->second);
}

at::Tensor read(at::Generator generator) {
  const std::lock_guard lock(generator.mutex());
  return generator.get_state();
}

}  // namespace

State Generators::state() const {
  State state;
  state.tensors["cpu"] = read(at::globalContext().defaultGenerator(torch::kCPU));
  if (device_.is_cuda())
    state.tensors["cuda"] = read(at::globalContext().defaultGenerator(device_));
  return state;
}

void Generators::load_state(const State& state) {
  restore(at::globalContext().defaultGenerator(torch::kCPU), state, "cpu");
  // A run that went on on another kind of device has no state for this one: it keeps its seed.
  if (device_.is_cuda() && state.tensors.contains("cuda")) {
    restore(at::globalContext().defaultGenerator(device_), state, "cuda");
  }
}

void seed_generators(std::uint64_t seed) {
  at::manual_seed(seed);
}

}  // namespace xception
