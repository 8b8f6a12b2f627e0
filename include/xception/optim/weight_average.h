#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "xception/config/keys.h"
#include "xception/core/state.h"
#include "xception/optim/optimizer.h"

namespace xception {

/// `average.*`: an average of the weights over training, which takes the trained weights' place in
/// evaluation and in files. What an average has for itself stands beside its code.
struct AverageConfig : ComponentOptions {
  std::string name = "none";
  std::string batch_norm = "average";     ///< where running statistics come from
  std::int64_t batch_norm_images = 2048;  ///< that they are recomputed over

  /// These and every average's own, in the order in which a config is written.
  [[nodiscard]] std::vector<Key> keys();
};

/// Refuses settings that can't be meant together. epochs: of the whole run. Errors (input).
void check_average(const AverageConfig& config, std::int64_t epochs);

/// The choice in a line: `ema, decay 0.999, BatchNorm average`; empty for none.
[[nodiscard]] std::string describe_average(const AverageConfig& config);

/// An average of a network's parameters and, unless they are recomputed, of its running statistics,
/// in the parameters' own dtype (float32, or float64 in a run of that precision), on their device.
///
/// Averages and trained weights change places in the network's own tensors, so that whoever
/// evaluates or saves the network finds the averages there. Its state is the weights that are not
/// in the network at that moment; the network's are the checkpoint's own.
class WeightAverage : public Stateful {
 public:
  /// parameters, statistics: the network's, which stay where they are. average_statistics: else
  /// the statistics only change places with the parameters, and whoever puts averages in recomputes
  /// them.
  WeightAverage(const NamedParameters& parameters, const NamedParameters& statistics,
                bool average_statistics);

  [[nodiscard]] std::string state_name() const override { return "average"; }
  [[nodiscard]] State state() const override;
  void load_state(const State& state) override;

  /// After each optimizer step: on the device, deciding nothing on the host.
  virtual void after_step() {}
  /// After an epoch's last step. epoch: counted from 1; the same one again changes nothing.
  virtual void after_epoch(std::int64_t /*epoch*/) {}
  /// Whether there is an average yet.
  [[nodiscard]] virtual bool is_ready() const { return true; }

  /// The network's weights were set from outside: the average begins with them.
  void restart();

  /// Puts the averages into the network, or the trained weights back. Nothing happens where they
  /// are there already, or there is no average yet.
  void put_in(bool averages);
  [[nodiscard]] bool is_in_place() const { return in_place_; }

 protected:
  // What is averaged, in the same order.
  [[nodiscard]] const std::vector<torch::Tensor>& trained() const { return averaged_trained_; }
  [[nodiscard]] const std::vector<torch::Tensor>& averages() const { return averaged_; }
  /// What else the state has.
  virtual void add_state(State& /*state*/) const {}
  virtual void load_own_state(const State& /*state*/) {}

 private:
  std::vector<std::string> names_;
  std::vector<torch::Tensor> network_;  ///< the network's tensors
  std::vector<torch::Tensor> stored_;   ///< what isn't in the network
  std::vector<torch::Tensor> averaged_trained_, averaged_;
  bool in_place_ = false;  ///< whether the network has the averages
};

/// The average that a config chooses, or none.
[[nodiscard]] std::unique_ptr<WeightAverage> build_average(const AverageConfig& config,
                                                           const NamedParameters& parameters,
                                                           const NamedParameters& statistics);

/// The averages are in the network while it lives, if there are any.
class AveragesInPlace {
 public:
  explicit AveragesInPlace(WeightAverage* average) : average_(average) {
    if (average_ != nullptr) average_->put_in(true);
  }
  AveragesInPlace(const AveragesInPlace&) = delete;
  AveragesInPlace& operator=(const AveragesInPlace&) = delete;
  ~AveragesInPlace() {
    if (average_ != nullptr) average_->put_in(false);
  }

 private:
  WeightAverage* average_;
};

}  // namespace xception
