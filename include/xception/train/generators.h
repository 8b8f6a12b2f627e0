#pragma once

#include <torch/types.h>

#include "xception/core/state.h"

namespace xception {

/// LibTorch's default generators of the CPU and of the run's GPU, from which dropout and the
/// initial weights are drawn. Order and augmentation don't use them.
class Generators : public Stateful {
 public:
  explicit Generators(const torch::Device& device) : device_(device) {}

  [[nodiscard]] std::string state_name() const override { return "generators"; }
  [[nodiscard]] State state() const override;
  void load_state(const State& state) override;

 private:
  torch::Device device_;
};

/// Seeds them.
void seed_generators(std::uint64_t seed);

}  // namespace xception
