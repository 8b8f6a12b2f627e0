#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace xception {

/// A run directory as a trained run leaves it, without having been trained.
struct FakeRun {
  std::string model = "xception";
  std::int64_t seed = 0;
  std::string activation = "none";
  std::string status = "complete";
  std::string checksum = "c0ffee";
  double learning_rate = 0.001;
  std::string data_label = {};                                ///< in environment.json, unless empty
  std::vector<double> validation_accuracy = {0.3, 0.4, 0.5};  ///< a value an epoch
  double epoch_seconds = 10.0;
  double images_per_second = 100.0;
  /// Test answers to images of classes 0, 1, 2, 0, 1, 2, ...: the class answered.
  std::vector<std::int64_t> answers = {0, 1, 2, 0, 1, 2};
  nlohmann::ordered_json more_config = nlohmann::ordered_json::object();  ///< over the config
};

/// Writes it to `folder`.
void write_fake_run(const std::filesystem::path& folder, const FakeRun& run);

/// `n` answers of which every `period`-th is wrong, beginning with `first`.
[[nodiscard]] std::vector<std::int64_t> answers_with_errors(std::int64_t n, std::int64_t period,
                                                            std::int64_t first = 0);

}  // namespace xception
