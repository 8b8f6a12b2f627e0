#include "xception/config/decisive.h"

namespace xception {

nlohmann::ordered_json decisive_config(nlohmann::ordered_json config) {
  const auto erase = [&](const char* section, const char* key) {
    if (const auto found = config.find(section); found != config.end() && found->is_object()) {
      found->erase(key);
    }
  };
  erase("data", "dir");
  for (const auto* key : {"log_interval", "checkpoint_interval", "stop_after_epoch",
                          "batch_size_per_device", "selftest_seconds"}) {
    erase("train", key);
  }
  const auto batch_norm = config.value("/parallel/batch_norm"_json_pointer, std::string());
  config.erase("parallel");
  if (!batch_norm.empty()) config["batch_norm"] = batch_norm;
  return config;
}

}  // namespace xception
