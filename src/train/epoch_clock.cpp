#include "xception/train/epoch_clock.h"

namespace xception {
namespace {

using Seconds = std::chrono::duration<double>;

constexpr double kTerminalSeconds = 0.5;

}  // namespace

void EpochClock::add_step(std::int64_t images) {
  images_ += images;
  report_images_ += images;
  ++report_steps_;
}

bool EpochClock::report_due() {
  const auto now = Clock::now();
  const double seconds = Seconds(now - report_start_).count();
  if (terminal_ ? seconds < kTerminalSeconds : report_steps_ < interval_) return false;
  rate_ = static_cast<double>(report_images_) / seconds;
  report_start_ = now;
  report_images_ = 0;
  report_steps_ = 0;
  return true;
}

std::pair<double, std::int64_t> EpochClock::take() {
  const auto now = Clock::now();
  const std::pair result{Seconds(now - start_).count(), images_};
  start_ = now;
  images_ = 0;
  return result;
}

void EpochClock::restart() {
  start_ = Clock::now();
  report_start_ = start_;
  images_ = 0;
  report_images_ = 0;
  report_steps_ = 0;
}

}  // namespace xception
