#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "xception/core/state.h"
#include "xception/parallel/communicator.h"

namespace xception {

/// LibTorch's default generators of the CPU and of the run's GPU, from which dropout and the
/// initial weights are drawn. Order and augmentation don't use them. Each rank has its own; a
/// checkpoint holds those of all ranks.
class Generators : public Stateful {
 public:
  Generators(const torch::Device& device, Communicator& ranks) : device_(device), ranks_(ranks) {}

  /// Takes in the other ranks' states, for `state` on rank 0. Called by all ranks.
  void gather();

  [[nodiscard]] std::string state_name() const override { return "generators"; }
  [[nodiscard]] State state() const override;
  /// A rank that the checkpoint doesn't have keeps its seed, and so does one on another kind of
  /// device than the checkpoint's.
  void load_state(const State& state) override;

 private:
  torch::Device device_;
  Communicator& ranks_;
  std::vector<TensorMap> others_;  ///< of ranks 1, 2, ...
};

/// Seeds them; ranks draw different numbers, and rank 0 those of a process alone.
void seed_generators(std::uint64_t seed, int rank = 0);

}  // namespace xception
