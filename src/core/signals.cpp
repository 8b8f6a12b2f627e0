#include "xception/core/signals.h"

#include <array>
#include <csignal>

namespace xception {
namespace {

constexpr std::array kStopSignals = {SIGINT, SIGTERM, SIGHUP, SIGUSR2};

volatile std::sig_atomic_t stop_signal = 0;
volatile std::sig_atomic_t save_request = 0;

extern "C" void on_stop_signal(int number) {
  if (number == SIGINT && stop_signal == SIGINT) {
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
  }
  stop_signal = number;
}

extern "C" void on_save_signal(int /*number*/) {
  save_request = 1;
}

void handle(int number, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(number, &action, nullptr);
}

bool is_ignored(int number) {
  struct sigaction action {};
  sigaction(number, nullptr, &action);
  return action.sa_handler == SIG_IGN;
}

}  // namespace

void ignore_write_signals() {
  handle(SIGXFSZ, SIG_IGN);
  handle(SIGPIPE, SIG_IGN);
}

void ignore_save_signals() {
  handle(SIGUSR1, SIG_IGN);
  handle(SIGUSR2, SIG_IGN);
}

bool is_stop_signal(int number) noexcept {
  for (const int stop : kStopSignals) {
    if (number == stop) return true;
  }
  return false;
}

StopSignals::StopSignals() {
  stop_signal = 0;
  save_request = 0;
  handle(SIGUSR1, on_save_signal);
  for (const int number : kStopSignals) {
    if (number == SIGHUP && is_ignored(SIGHUP)) continue;
    handle(number, on_stop_signal);
  }
}

StopSignals::~StopSignals() {
  for (const int number : kStopSignals) {
    if (number == SIGHUP && is_ignored(SIGHUP)) continue;
    // What remains to be done is short, and these would be told as a crash.
    handle(number, number == SIGUSR2 ? SIG_IGN : SIG_DFL);
  }
  handle(SIGUSR1, SIG_IGN);
}

int StopSignals::received() noexcept {
  return stop_signal;
}

bool StopSignals::take_save_request() noexcept {
  if (save_request == 0) return false;
  save_request = 0;
  return true;
}

}  // namespace xception
