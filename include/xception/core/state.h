#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "xception/core/safetensors.h"

namespace xception {

/// What an object needs to go on exactly where it was: tensors and plain values.
struct State {
  TensorMap tensors;
  nlohmann::json values = nlohmann::json::object();
};

/// The role of everything that a checkpoint holds: optimizer, scaler, generators, metrics, best
/// value. The checkpoint walks a list of these and knows none of them by name.
class Stateful {
 public:
  virtual ~Stateful() = default;

  /// Under which the state is stored; unique within a checkpoint.
  [[nodiscard]] virtual std::string state_name() const = 0;
  [[nodiscard]] virtual State state() const = 0;
  /// Errors (input): a tensor or value is missing or of another shape or type.
  virtual void load_state(const State& state) = 0;
};

/// The tensor of a name. Errors (input): missing, or its shape is not `like`'s.
[[nodiscard]] const at::Tensor& state_tensor(const State& state, const std::string& name,
                                             const at::Tensor& like);

/// Copies a stored tensor into `target`, in place, whatever its device. Errors: as state_tensor.
void restore_tensor(const State& state, const std::string& name, at::Tensor& target);

}  // namespace xception
