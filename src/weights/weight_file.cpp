#include "xception/weights/weight_file.h"

namespace xception {

WeightFile read_weights(const std::filesystem::path& file) {
  WeightFile weights{.file = file, .format = "safetensors"};
  weights.tensors = load_safetensors(file, "", &weights.metadata);
  for (const auto& [name, tensor] : weights.tensors) weights.order.push_back(name);
  return weights;
}

}  // namespace xception
