#include "xception/train/epoch_clock.h"

#include <chrono>

namespace xception {
namespace {

constexpr double kTerminalSeconds = 0.5;

}  // namespace

double EpochClock::now() {
  // In this order: a stop between the two is counted now and left out later, never the reverse.
  const auto suspended = SuspensionWatch::seconds();
  const auto time = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(time).count() - suspended;
}

double EpochClock::take_suspended() {
  const auto before = std::exchange(suspended_, SuspensionWatch::seconds());
  return suspended_ - before;
}

void EpochClock::add_step(std::int64_t images) {
  images_ += images;
  report_images_ += images;
  ++report_steps_;
}

bool EpochClock::report_due() {
  const auto time = now();
  const double seconds = time - report_start_;
  if (terminal_ ? seconds < kTerminalSeconds : report_steps_ < interval_) return false;
  rate_ = static_cast<double>(report_images_) / seconds;
  report_start_ = time;
  report_images_ = 0;
  report_steps_ = 0;
  return true;
}

std::pair<double, std::int64_t> EpochClock::take() {
  const auto time = now();
  const std::pair result{time - start_, images_};
  start_ = time;
  images_ = 0;
  return result;
}

void EpochClock::restart() {
  start_ = now();
  report_start_ = start_;
  images_ = 0;
  report_images_ = 0;
  report_steps_ = 0;
}

}  // namespace xception
