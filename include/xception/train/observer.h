#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

namespace xception {

/// Where an epoch stands.
struct Progress {
  std::int64_t epoch = 0;  ///< counted from 1
  std::int64_t epochs = 0;
  std::int64_t step = 0;  ///< steps of the epoch done
  std::int64_t steps = 0;
  std::int64_t global_step = 0;
  double loss = 0.0;      ///< mean over the epoch so far
  double accuracy = 0.0;  ///< likewise
  double learning_rate = 0.0;
  double images_per_second = 0.0;
  double seconds_left = 0.0;  ///< of all training
  std::int64_t memory_bytes = 0;
};

/// What is recorded of an epoch.
struct EpochRecord {
  std::int64_t epoch = 0;  ///< counted from 1
  std::int64_t global_step = 0;
  double train_loss = 0.0;
  double train_accuracy = 0.0;
  std::optional<double> validation_loss;  ///< unset without validation images
  std::optional<double> validation_accuracy;
  double train_seconds = 0.0;
  double validation_seconds = 0.0;
  double learning_rate = 0.0;  ///< of the last step
  double images_per_second = 0.0;
  std::int64_t memory_bytes = 0;
};

/// Somebody whom the trainer tells what happens. Called between steps.
class RunObserver {
 public:
  virtual ~RunObserver() = default;
  virtual void on_progress(const Progress& /*progress*/) {}
  virtual void on_epoch(const EpochRecord& /*record*/) {}
  virtual void on_end(const nlohmann::ordered_json& /*summary*/) {}
};

}  // namespace xception
