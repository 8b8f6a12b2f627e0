#include "xception/train/share_state.h"

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
  // The tensors follow as rows of bytes: rank 0 gives them, the others none.
  for (const auto& item : description.value("tensors", nlohmann::json::array())) {
    const std::string name = item.at("name");
    const auto dtype = static_cast<torch::ScalarType>(item.at("dtype").get<int>());
    const auto sizes = item.at("sizes").get<std::vector<std::int64_t>>();
    auto flat = torch::empty({0}, dtype);
    if (ranks.is_root()) flat = state.tensors.at(name).detach().cpu().contiguous().view({-1});
    flat = ranks.gather_rows(flat);
    if (!ranks.is_root()) state.tensors[name] = flat.view(sizes);
  }
  if (ranks.is_root()) return;
  state.values = description.at("values");
  object.load_state(state);
}

}  // namespace xception
