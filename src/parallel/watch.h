#pragma once

#include <torch/csrc/distributed/c10d/Store.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "xception/parallel/rank_info.h"

namespace xception {

/// Why a job ends, as the first one to know it wrote it into the store.
struct Failure {
  int rank = -1;  ///< -1: nobody knows which
  std::string host = {};
  std::string message;
  int exit_code = 1;
  bool printed = false;  ///< whether somebody has already told the user

  [[nodiscard]] std::string line() const;
};

/// Writes the first failure of a job into its store. Returns whether it was the first.
bool post_failure(c10d::Store& store, const Failure& failure);
/// The job's failure, if there is one.
[[nodiscard]] std::optional<Failure> read_failure(c10d::Store& store);

/// Says through the store that this rank lives, and looks whether the others do, beside the
/// training. Store calls may hang when a network is down, so nobody waits for them without an end.
class Watch {
 public:
  /// beats, asks: two connections to the job's store. `on_end` is called on a thread of the watch,
  /// and doesn't return, when the job has failed elsewhere and this rank hasn't noticed for some
  /// seconds.
  Watch(c10::intrusive_ptr<c10d::Store> beats, c10::intrusive_ptr<c10d::Store> asks,
        const RankInfo& place, std::string host, std::chrono::milliseconds heartbeat,
        std::function<void(const Failure&)> on_end);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  /// Writes a failure. Returns whether it was the first, or could not be written.
  bool post(const Failure& failure);
  /// Waits for the failure that another rank wrote.
  std::optional<Failure> wait_for_failure(std::chrono::milliseconds time);
  /// The ranks that give no sign of life; takes some seconds.
  std::vector<int> find_silent_ranks();
  std::string host_of(int rank);
  /// This rank ends: from here on its silence means nothing.
  void announce_end();

 private:
  /// What the thread that beats works on. A store call of it may outlive the watch, and so does
  /// this.
  struct Beating;

  void guard();

  std::shared_ptr<Beating> beating_;
  c10::intrusive_ptr<c10d::Store> asks_;
  RankInfo place_;
  std::function<void(const Failure&)> on_end_;
  std::thread beat_thread_;
  std::thread guard_thread_;
};

}  // namespace xception
