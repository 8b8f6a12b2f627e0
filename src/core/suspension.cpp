#include "xception/core/suspension.h"

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <stop_token>
#include <thread>

namespace xception {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kTick(200);
constexpr std::chrono::seconds kGap(1);  // between two ticks: less may be anything

volatile std::sig_atomic_t continued = 0;

extern "C" void on_continue(int /*number*/) {
  continued = 1;
}

/// What is between two ticks, of the thread or of somebody who asks.
struct Ticks {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::jthread thread;
  bool watched = false;
  Clock::time_point last;
  /// A gap whose SIGCONT hasn't been handled yet: which thread runs first, nobody knows.
  Clock::duration doubtful = {};
  Clock::time_point doubtful_since;
  Clock::duration suspended = {};

  void tick() {
    const auto now = Clock::now();
    if (now - last > kGap) {
      doubtful = now - last - kTick;
      doubtful_since = now;
    }
    last = now;
    if (continued != 0) {
      continued = 0;
      suspended += doubtful;
      doubtful = {};
    }
    if (now - doubtful_since > kGap) doubtful = {};
  }
};

Ticks& ticks() {
  static Ticks only;
  return only;
}

}  // namespace

SuspensionWatch::SuspensionWatch() {
  struct sigaction action {};
  action.sa_handler = on_continue;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGCONT, &action, nullptr);
  auto& state = ticks();
  const std::lock_guard lock(state.mutex);
  continued = 0;
  state.watched = true;
  state.last = Clock::now();
  state.thread = std::jthread([&state](const std::stop_token& stop) {
    std::unique_lock held(state.mutex);
    while (!stop.stop_requested()) {
      state.tick();
      (void)state.wake.wait_for(held, stop, kTick, [] { return false; });
    }
  });
}

SuspensionWatch::~SuspensionWatch() {
  auto& state = ticks();
  state.thread.request_stop();
  state.thread.join();
  const std::lock_guard lock(state.mutex);
  state.watched = false;
  (void)std::signal(SIGCONT, SIG_DFL);
}

double SuspensionWatch::seconds() {
  auto& state = ticks();
  const std::lock_guard lock(state.mutex);
  if (state.watched) state.tick();
  return std::chrono::duration<double>(state.suspended + state.doubtful).count();
}

}  // namespace xception
