#include "xception/core/state.h"

#include <fmt/ranges.h>

#include "xception/core/error.h"

namespace xception {

const at::Tensor& state_tensor(const State& state, const std::string& name,
                               const at::Tensor& like) {
  const auto found = state.tensors.find(name);
  if (found == state.tensors.end()) {
    throw input_error("core", "checkpoint has no tensor {}; it belongs to another configuration",
                      name);
  }
  const auto& tensor = found->second;
  if (tensor.sizes() != like.sizes() || tensor.scalar_type() != like.scalar_type()) {
    throw input_error("core",
                      "checkpoint tensor {} is {} [{}], expected {} [{}]; it belongs to another "
                      "configuration",
                      name, c10::toString(tensor.scalar_type()),
                      fmt::join(tensor.sizes().vec(), ", "), c10::toString(like.scalar_type()),
                      fmt::join(like.sizes().vec(), ", "));
  }
  return tensor;
}

void restore_tensor(const State& state, const std::string& name, at::Tensor& target) {
  target.copy_(state_tensor(state, name, target));
}

}  // namespace xception
