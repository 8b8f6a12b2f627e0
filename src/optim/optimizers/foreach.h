#pragma once

#include <string>
#include <vector>

#include "entry.h"

namespace xception {

/// An optimizer of LibTorch's foreach operations, for rules that no fused kernel does. It does what
/// all of them must: gradients of copies, copies of the new values, steps that are skipped, state.
class ForeachOptimizer : public Optimizer {
 public:
  void step(const torch::Tensor& lr, const torch::Tensor& found_inf,
            const torch::Tensor& inverse_scale) final;
  State state() const override;
  void load_state(const State& state) override;

 protected:
  /// The parameters that have a gradient, in the same order in all lists.
  struct Lists {
    std::vector<torch::Tensor> parameters;
    std::vector<torch::Tensor> gradients;      ///< unscaled, of the parameters' dtype and strides
    std::vector<torch::Tensor> first, second;  ///< states; empty where the rule has none
  };

  /// names: under which the states are saved, at most two; `NAME.PARAMETER`. They begin as 0.
  ForeachOptimizer(const NamedParameters& parameters, std::vector<std::string> names);

  /// A step of the rule: writes parameters and states in place, on the device. It must neither
  /// write the gradients nor decide anything on the host.
  virtual void update(const Lists& lists, const torch::Tensor& lr) = 0;

  /// A state of every parameter, to give it another beginning. index: of its name.
  [[nodiscard]] std::vector<torch::Tensor>& states(std::size_t index) { return states_.at(index); }

 private:
  NamedParameters parameters_;
  std::vector<std::string> names_;
  std::vector<std::vector<torch::Tensor>> states_;  ///< a list of each name
};

}  // namespace xception
