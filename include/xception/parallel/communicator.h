#pragma once

#include <torch/types.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "xception/parallel/rank_info.h"

namespace xception {

/// A collective that failed or timed out: another rank, its machine or the network is gone. The
/// cause is elsewhere; see Communicator::fail.
class LostContact : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// How long to wait for others.
struct Timeouts {
  std::chrono::milliseconds collective{600'000};  ///< for the slowest rank in one collective
  std::chrono::milliseconds heartbeat{30'000};    ///< for a sign of life of a rank; 0: any time
};

/// The processes that train together, as one of them sees them: a process group on the device (NCCL
/// on GPUs, Gloo on CPUs), a second one on the CPU for all that isn't numbers of the training, and
/// a watch that notices ranks that failed, died or hang.
///
/// Every collective must be called by all ranks in the same order. Alone, all of them return at
/// once. Errors: LostContact.
class Communicator {
 public:
  /// A process on its own.
  [[nodiscard]] static std::shared_ptr<Communicator> alone();

  /// Meets the other ranks and returns when all are there. Errors (input): no store at the place's
  /// address; LostContact: some didn't come in time.
  [[nodiscard]] static std::shared_ptr<Communicator> connect(const RankInfo& place,
                                                             const torch::Device& device,
                                                             const Timeouts& timeouts);

  virtual ~Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  [[nodiscard]] const RankInfo& place() const { return place_; }
  [[nodiscard]] int rank() const { return place_.rank; }
  [[nodiscard]] int size() const { return place_.size; }
  [[nodiscard]] bool is_alone() const { return place_.is_alone(); }
  /// Whether this rank writes, prints and decides.
  [[nodiscard]] bool is_root() const { return place_.rank == 0; }

  // ---- Tensors on the ranks' device
  // --------------------------------------------------------------
  /// Rank 0's values, into these tensors; shapes and dtypes agree on all ranks.
  virtual void broadcast(const std::vector<torch::Tensor>& tensors) = 0;
  /// Replaces the values by their sum over the ranks.
  virtual void sum(torch::Tensor& tensor) = 0;

  // ---- On the CPU
  // --------------------------------------------------------------------------------
  /// Rank 0's text.
  [[nodiscard]] virtual std::string broadcast_text(const std::string& text) = 0;
  /// Every rank's text, by rank.
  [[nodiscard]] virtual std::vector<std::string> gather_texts(const std::string& text) = 0;
  /// Every rank's rows, (n_r) or (n_r, columns), in the order of the ranks, on the CPU. A rank
  /// without rows may give a tensor (0) of the same dtype.
  [[nodiscard]] virtual torch::Tensor gather_rows(const torch::Tensor& rows) = 0;
  /// The largest of the ranks' values.
  [[nodiscard]] virtual int agree(int value) = 0;
  /// The largest of the values that the ranks gave at the call before this one (alone: at this
  /// one). It costs no waiting where ranks go in step, so it can be called between any two steps.
  [[nodiscard]] virtual int agree_later(int value) = 0;

  /// Says good-bye: from here on this rank's silence is no failure. Called by all ranks when their
  /// work is done.
  virtual void finish() = 0;

  /// Ends this process because of `message` after telling the others, and prints one line: the
  /// cause, with rank and host. `contact_lost`: the message is only how the failure of another rank
  /// reached this one; then that one's cause is found out and told. Under our own launcher only the
  /// rank that failed prints. Returns only if alone.
  virtual void fail(const std::string& message, int exit_code, bool contact_lost) = 0;

 protected:
  explicit Communicator(RankInfo place) : place_(std::move(place)) {}

 private:
  RankInfo place_;
};

}  // namespace xception
