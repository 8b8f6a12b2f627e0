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

/// The generators that a run on this device draws from.
std::vector<std::pair<std::string, at::Generator>> own_generators(const torch::Device& device) {
  std::vector<std::pair<std::string, at::Generator>> generators = {
      {"cpu", at::globalContext().defaultGenerator(torch::kCPU)}};
  if (device.is_cuda()) {
    generators.emplace_back("cuda", at::globalContext().defaultGenerator(device));
  }
  return generators;
}

std::string name_on_rank(const std::string& name, int rank) {
  return rank == 0 ? name : name + "." + std::to_string(rank);
}

}  // namespace

void Generators::gather() {
  others_.assign(static_cast<std::size_t>(ranks_.size() - 1), {});
  for (const auto& [name, generator] : own_generators(device_)) {
    const auto all = ranks_.gather_rows(read(generator).unsqueeze(0));  // (ranks, bytes)
    for (std::size_t i = 0; i < others_.size(); ++i) {
      others_[i][name] = all[static_cast<std::int64_t>(i) + 1].clone();
    }
  }
}

State Generators::state() const {
  State state;
  for (const auto& [name, generator] : own_generators(device_)) {
    state.tensors[name] = read(generator);
  }
  for (std::size_t i = 0; i < others_.size(); ++i) {
    for (const auto& [name, tensor] : others_[i]) {
      state.tensors[name_on_rank(name, static_cast<int>(i) + 1)] = tensor;
    }
  }
  return state;
}

void Generators::load_state(const State& state) {
  for (const auto& [name, generator] : own_generators(device_)) {
    const auto stored = name_on_rank(name, ranks_.rank());
    const bool required = name == "cpu" && ranks_.is_root();
    if (required || state.tensors.contains(stored)) restore(generator, state, stored);
  }
  // Those of the other ranks, who get them from this one.
  others_.assign(static_cast<std::size_t>(ranks_.size() - 1), {});
  for (std::size_t i = 0; i < others_.size(); ++i) {
    for (const auto& [name, generator] : own_generators(device_)) {
      const auto stored = state.tensors.find(name_on_rank(name, static_cast<int>(i) + 1));
      if (stored != state.tensors.end()) others_[i][name] = stored->second;
    }
  }
}

void seed_generators(std::uint64_t seed, int rank) {
  // Far apart for neighboring seeds and ranks: the fractional part of the golden ratio.
  at::manual_seed(seed + static_cast<std::uint64_t>(rank) * 0x9E3779B97F4A7C15ULL);
}

}  // namespace xception
