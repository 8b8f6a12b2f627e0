#include "xception/optim/plateau.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace xception {

std::vector<Key> PlateauOptions::keys() {
  return newer({{"factor", &factor, Range{.low = 0, .high = 1, .low_open = true, .high_open = true},
                 "by which the learning rate falls"},
                {"patience", &patience, between(0, 1e6),
                 "epochs without a better value after which the next one lowers the rate"},
                {"threshold", &threshold, below(0, 1),
                 "part of the best value by which another must be better to count"},
                {"metric", &metric, Choices{"loss", "accuracy"}, "of the validation images"}});
}

Plateau::Plateau(PlateauOptions options, double lr, double min_lr, double warmup_epochs)
    : options_(std::move(options)),
      lr_(lr),
      min_lr_(min_lr),
      warmup_epochs_(warmup_epochs),
      rate_(lr) {}

void Plateau::record(const EpochOutcome& outcome) {
  constexpr double kSmallestFall = 1e-8;  // PyTorch's eps
  if (static_cast<double>(outcome.epoch) <= warmup_epochs_) return;
  const bool loss = options_.metric == "loss";
  const double value = loss ? outcome.validation_loss : outcome.validation_accuracy;
  // A value that is not finite is never better.
  const bool better = !best_ ? std::isfinite(value)
                      : loss ? value < *best_ * (1.0 - options_.threshold)
                             : value > *best_ * (1.0 + options_.threshold);
  if (better) best_ = value;
  bad_epochs_ = better ? 0 : bad_epochs_ + 1;
  if (bad_epochs_ <= options_.patience) return;
  bad_epochs_ = 0;
  const double lower = std::max(rate_ * options_.factor, min_lr_);
  if (rate_ - lower > kSmallestFall) rate_ = lower;
}

State Plateau::state() const {
  State state;
  state.values = {{"rate", rate_},
                  {"best", best_ ? nlohmann::json(*best_) : nlohmann::json(nullptr)},
                  {"bad_epochs", bad_epochs_}};
  return state;
}

void Plateau::load_state(const State& state) {
  rate_ = state.values.at("rate").get<double>();
  bad_epochs_ = state.values.at("bad_epochs").get<std::int64_t>();
  best_.reset();
  if (!state.values.at("best").is_null()) best_ = state.values.at("best").get<double>();
}

}  // namespace xception
