#include "training_meter.h"

#include "xception/core/log.h"
#include "xception/parallel/device.h"
#include "xception/parallel/energy.h"

namespace xception {

TrainingMeter::TrainingMeter(const torch::Device& device, const Communicator& ranks,
                             Summary& summary, std::int64_t log_interval)
    : device_(device),
      ranks_(ranks),
      summary_(summary),
      clock_(log_interval, StatusLine::available()),
      energy_(read_energy()) {}

void TrainingMeter::account() {
  synchronize(device_);
  const auto [seconds, images] = clock_.take();
  summary_.add_train_seconds(seconds, images);
  if (const auto suspended = clock_.take_suspended(); suspended > 0) {
    spdlog::info("was suspended for {:.1f} s, not counted as training", suspended);
    summary_.add_suspended_seconds(suspended);
  }
  const auto now = read_energy();
  if (now && energy_) summary_.add_train_energy(*now - *energy_);
}

void TrainingMeter::restart() {
  clock_.restart();
  energy_ = read_energy();
}

std::optional<double> TrainingMeter::read_energy() const {
  // Of several ranks each has a GPU of its own, and rank 0 would tell only of its own.
  return ranks_.is_alone() ? energy_joules(device_) : std::nullopt;
}

}  // namespace xception
