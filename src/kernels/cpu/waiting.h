#pragma once

#include <linux/futex.h>
#include <strings.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>

// How the worker pool's threads wait for each other: by looking for a while, then asleep.
namespace xception {

/// How long a thread looks for what it waits for before it sleeps. Operations of a step follow each
/// other within microseconds, and to wake a thread takes tens of them.
inline std::int64_t spin_nanoseconds() {
  static const std::int64_t limit = [] {
    const char* policy = std::getenv("OMP_WAIT_POLICY");
    if (policy == nullptr) return 50'000;
    return ::strcasecmp(policy, "passive") == 0 ? 0 : 5'000'000;
  }();
  return limit;
}

/// Sleeps until woken, or not at all where `word` isn't `value` any more. May wake for no reason.
inline void futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t value) {
  ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

/// Wakes so many of those that sleep on `word`.
inline void futex_wake(std::atomic<std::uint32_t>& word, int count) {
  ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, count, nullptr, nullptr, 0);
}

/// Leaves the core to its other thread for a moment.
inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// A clock of clock_gettime, such as CLOCK_MONOTONIC or that of a thread.
inline std::int64_t nanoseconds(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

/// Looks until `done` or for so long. Returns whether done.
template <class Done>
bool spin(std::int64_t limit, const Done& done) {
  const auto start = nanoseconds(CLOCK_MONOTONIC);
  do {
    for (int i = 0; i < 16; ++i) {
      if (done()) return true;
      pause();
    }
  } while (nanoseconds(CLOCK_MONOTONIC) - start < limit);
  return false;
}

}  // namespace xception
