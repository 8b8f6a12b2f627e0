#include "xception/train/share_state.h"

#include <cstring>

namespace xception {

void share_state(Communicator& ranks, Stateful& object) {
  if (ranks.is_alone()) return;
  State state;
  nlohmann::json description;
  if (ranks.is_root()) {
    state = object.state();
    description["values"] = state.values;
    for (const auto& [name, tensor] : state.tensors) {
      description["tensors"].push_back({{"name", name},
                                        {"dtype", static_cast<int>(tensor.scalar_type())},
                                        {"sizes", tensor.sizes().vec()}});
    }
  }
  description = nlohmann::json::parse(ranks.broadcast_text(description.dump()));
  // The tensors follow as bytes.
  for (const auto& item : description.value("tensors", nlohmann::json::array())) {
    const std::string name = item.at("name");
    const auto dtype = static_cast<torch::ScalarType>(item.at("dtype").get<int>());
    const auto sizes = item.at("sizes").get<std::vector<std::int64_t>>();
    std::string bytes;
    if (ranks.is_root()) {
      const auto flat = state.tensors.at(name).detach().cpu().contiguous();
      bytes.assign(static_cast<const char*>(flat.const_data_ptr()), flat.nbytes());
    }
    bytes = ranks.broadcast_text(bytes);
    if (ranks.is_root()) continue;
    auto tensor = torch::empty(sizes, dtype);
    std::memcpy(tensor.mutable_data_ptr(), bytes.data(), bytes.size());
    state.tensors[name] = tensor;
  }
  if (ranks.is_root()) return;
  state.values = description.at("values");
  object.load_state(state);
}

}  // namespace xception
