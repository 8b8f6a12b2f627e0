#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "xception/core/state.h"
#include "xception/data/image_io.h"
#include "xception/train/observer.h"

namespace xception {

/// Writes scalars for TensorBoard: an event file of TFRecords (length and data with masked CRC-32C)
/// that hold `tensorflow.Event` messages, in protocol buffers' wire format. A few message types
/// with their fields are encoded here by hand: TensorBoard's own definitions would bring TensorFlow
/// or a protocol buffer compiler along. Tags: loss/train, loss/validation, accuracy/train,
/// accuracy/validation, learning_rate, images_per_second; a value an epoch, and loss/step within
/// it. The config is there as hyper-parameters, a grid of training images as images/train.
class TensorBoardWriter : public RunObserver, public Stateful {
 public:
  /// Opens the directory's newest event file, or names a new one.
  explicit TensorBoardWriter(const std::filesystem::path& directory);

  /// What a run begins with: its config (nested objects of values) and a picture of what it trains
  /// on.
  void write_start(const nlohmann::ordered_json& config, const RgbImage& images);

  void on_progress(const Progress& progress) override;
  void on_epoch(const EpochRecord& record) override;
  void on_end(const nlohmann::ordered_json& summary) override;

  [[nodiscard]] std::string state_name() const override { return "tensorboard"; }
  [[nodiscard]] State state() const override;
  /// Cuts off what came after the checkpoint.
  void load_state(const State& state) override;

  void clear();

 private:
  void scalar(const std::string& tag, std::int64_t step, double value);
  /// A value with the metadata of the plugin for hyper-parameters.
  void hyper_parameters(const std::string& tag, const std::string& content);
  void append(const std::string& event);

  std::filesystem::path file_;
};

/// CRC-32C (Castagnoli) of bytes, as TFRecords use it.
[[nodiscard]] std::uint32_t crc32c(std::string_view bytes);

}  // namespace xception
