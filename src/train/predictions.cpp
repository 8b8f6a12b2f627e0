#include "xception/train/predictions.h"

#include <nlohmann/json.hpp>

namespace xception {

PredictionOrigin prediction_origin(const std::string& checkpoint, const TrainingPosition& place,
                                   const std::string& split, const Dataset& dataset) {
  return {.checkpoint = checkpoint,
          .place = place,
          .split = split,
          .data = dataset.name,
          .data_checksum = dataset.checksum,
          .class_names = dataset.class_names};
}

void save_predictions(const std::filesystem::path& file, const Evaluation& evaluation,
                      const PredictionOrigin& origin) {
  TensorMap tensors = {{"index", evaluation.indices},
                       {"label", evaluation.labels},
                       {"probabilities", evaluation.probabilities}};
  if (evaluation.of_views.defined()) tensors["tta_probabilities"] = evaluation.of_views;
  save_safetensors(
      file, tensors,
      {{"checkpoint", origin.checkpoint},
       {"epoch", std::to_string(origin.place.epoch)},
       {"step", std::to_string(origin.place.step)},
       {"split", origin.split},
       {"data", origin.data},
       {"data_checksum", origin.data_checksum},
       {"classes", nlohmann::json(origin.class_names)
                       .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)}});
}

std::optional<std::string> mismatch(const TextMap& metadata, const std::string& split,
                                    const std::string& data_checksum) {
  const auto differs = [&](const char* key, const std::string& expected) {
    const auto found = metadata.find(key);
    return found != metadata.end() && !expected.empty() && found->second != expected;
  };
  if (differs("split", split)) {
    return fmt::format("answers on the {} split, expected {}", metadata.at("split"), split);
  }
  if (differs("data_checksum", data_checksum)) {
    return fmt::format("answers on other data (checksum {}...) than the run's ({}...)",
                       metadata.at("data_checksum").substr(0, 12), data_checksum.substr(0, 12));
  }
  return std::nullopt;
}

}  // namespace xception
