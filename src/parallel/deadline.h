#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

namespace xception {

/// Calls `late` on a thread of its own unless it is destroyed in time: for calls that can't be
/// given a time limit.
class Deadline {
 public:
  Deadline(std::chrono::milliseconds time, std::function<void()> late)
      : thread_([this, time, late = std::move(late)] {
          std::unique_lock lock(mutex_);
          if (!changed_.wait_for(lock, time, [this] { return over_; })) late();
        }) {}
  ~Deadline() {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;
  std::thread thread_;  // after what it uses
};

}  // namespace xception
