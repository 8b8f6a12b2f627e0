#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "xception/core/state.h"
#include "xception/parallel/communicator.h"

namespace xception {

/// What a gradient reducer did, for whoever wants to know how much of it was hidden.
struct ReductionCounters {
  std::int64_t steps = 0;
  std::int64_t buckets = 0;       ///< of the last step
  std::int64_t bytes = 0;         ///< reduced in the last step
  double backward_seconds = 0.0;  ///< of all steps, until the last gradient was reduced
  double reducing_seconds = 0.0;  ///< of all steps, while at least one bucket was on its way
  double exposed_seconds = 0.0;   ///< the part of it after the last gradient was computed
};

/// How gradients are reduced.
struct ReducerOptions {
  std::int64_t bucket_bytes = std::int64_t{25} << 20;
  bool find_unused_parameters = false;  ///< for networks whose steps don't use every parameter
};

/// Sums the gradients of all ranks, in buckets, while the backward pass still computes the next
/// ones: c10d's Reducer, the engine of PyTorch's DistributedDataParallel. Gradients become views of
/// the buckets.
///
/// Which gradients share a bucket follows the order in which they came in the first step; it is
/// part of the checkpoints, because the order of a sum over three ranks or more depends on it.
///
/// It sums and doesn't average: each rank's loss is divided by the images of the whole batch, so
/// that ranks with more images weigh more, and the sum is the gradient of one process.
class GradientReducer : public Stateful {
 public:
  /// named: the parameters that get a gradient in every step, the same on all ranks.
  GradientReducer(const std::shared_ptr<Communicator>& communicator,
                  const std::vector<std::pair<std::string, torch::Tensor>>& named,
                  const ReducerOptions& options);
  ~GradientReducer() override;
  GradientReducer(const GradientReducer&) = delete;
  GradientReducer& operator=(const GradientReducer&) = delete;

  /// Before the forward pass whose gradients are to be reduced. Passes before it, without this
  /// call, add to the gradients of this rank alone.
  void start_forward();

  /// Computes the gradients of `loss` and, after start_forward, waits for their sums. Errors:
  /// LostContact.
  void backward(const torch::Tensor& loss);

  [[nodiscard]] const ReductionCounters& counters() const;

  [[nodiscard]] std::string state_name() const override { return "reducer"; }
  [[nodiscard]] State state() const override;
  /// Called by all ranks with the same state. Other parameters or bucket sizes: starts afresh.
  void load_state(const State& state) override;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
  bool reducing_ = false;
};

}  // namespace xception
