#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>

#include "xception/core/state.h"
#include "xception/parallel/communicator.h"

namespace xception {

/// Means over the images seen since the last reset.
struct MetricValues {
  double loss = 0.0;
  double accuracy = 0.0;  ///< a fraction
  std::int64_t count = 0;
  std::int64_t bad_step = -1;  ///< first step whose loss was not finite, or -1
};

/// Loss, accuracy and count, added up on the device and read only when asked.
class ClassificationMetrics : public Stateful {
 public:
  explicit ClassificationMetrics(const torch::Device& device);

  [[nodiscard]] std::string state_name() const override { return "metrics"; }

  /// loss_sum: scalar, summed over the batch. logits: (N, classes). targets: class numbers, int64
  /// (N), or shares, (N, classes), of which the largest counts as the right class.
  void add(const torch::Tensor& loss_sum, const torch::Tensor& logits,
           const torch::Tensor& targets);

  /// The same, and notes `step` (int64 scalar on the device) if `trained` (the loss that is
  /// differentiated) is not finite.
  void add(const torch::Tensor& loss_sum, const torch::Tensor& logits, const torch::Tensor& targets,
           const torch::Tensor& trained, const torch::Tensor& step);

  /// Waits for the device.
  [[nodiscard]] MetricValues value() const;

  void reset();

  /// Takes the other ranks' sums in: rank 0 has all of them afterwards, the others none. Returns
  /// the means over all ranks, on every rank. Waits for the device and for the other ranks.
  MetricValues collect(Communicator& ranks);

  [[nodiscard]] State state() const override;
  void load_state(const State& state) override;

 private:
  torch::Tensor sums_;      ///< float64 (3): loss, correct, count
  torch::Tensor bad_step_;  ///< int64 scalar
};

}  // namespace xception
