#include "xception/train/model_card.h"

#include "xception/core/error.h"
#include "xception/core/json.h"

namespace xception {
namespace {

constexpr const char* kConfig = "xception.config";
constexpr const char* kClasses = "xception.classes";

std::string text_of(const nlohmann::ordered_json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

TextMap model_card(const RunConfig& config, const std::vector<std::string>& class_names) {
  const auto all = to_json(config);
  nlohmann::ordered_json part;
  part["model"] = all.at("model");
  part["data"]["image_size"] = all.at("data").at("image_size");
  part["augment"] = all.at("augment");
  return {{"format", "pt"}, {kConfig, text_of(part)}, {kClasses, text_of(class_names)}};
}

ModelCard read_model_card(const TextMap& metadata, const std::string& where) {
  ModelCard card;
  try {
    if (const auto found = metadata.find(kConfig); found != metadata.end()) {
      card.config = parse_json(found->second, "weights", where + ": " + kConfig);
    }
    if (const auto found = metadata.find(kClasses); found != metadata.end()) {
      card.class_names = parse_json(found->second, "weights", where + ": " + kClasses)
                             .get<std::vector<std::string>>();
    }
  } catch (const nlohmann::json::exception&) {
    throw input_error("weights",
                      "{}: {}: found no list of names; the file was altered, use another copy",
                      where, kClasses);
  }
  return card;
}

}  // namespace xception
