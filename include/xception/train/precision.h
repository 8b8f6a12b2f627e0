#pragma once

#include <ATen/autocast_mode.h>
#include <torch/types.h>

#include <string>

namespace xception {

/// A precision by its config name.
struct Precision {
  torch::ScalarType parameters = torch::kFloat32;  ///< of weights
  bool autocast = false;
  torch::ScalarType autocast_dtype = torch::kFloat32;
  bool scaled = false;  ///< needs a gradient scaler

  /// The dtype that Classifier::forward gives to a network with such weights, for pipelines to
  /// write at once: autocast's, which leaves float64 as it is.
  [[nodiscard]] torch::ScalarType images(torch::ScalarType weights) const {
    return autocast && weights != torch::kFloat64 ? autocast_dtype : weights;
  }
};

/// `fp32`, `fp16`, `bf16`, `fp64`. Errors (input): another word.
[[nodiscard]] Precision parse_precision(const std::string& name);

/// torch.autocast for the lifetime of the object, in this thread: casts by operation, and a cache
/// of cast weights that is emptied at the end of the outermost region, so that it never outlives an
/// optimizer step.
class Autocast {
 public:
  Autocast(const Precision& precision, torch::DeviceType device);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  torch::DeviceType device_;
  bool was_enabled_;
  torch::ScalarType previous_dtype_;
};

}  // namespace xception
