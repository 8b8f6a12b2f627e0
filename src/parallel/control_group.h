#pragma once

#include <string>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <vector>

namespace xception {

/// Texts and numbers that ranks tell each other, over Gloo whatever the device they train on. What
/// each function does: Communicator, whose functions of the same name are these. All ranks call the
/// same ones in the same order. They throw what Gloo throws.
class ControlGroup {
 public:
  explicit ControlGroup(c10::intrusive_ptr<c10d::ProcessGroupGloo> group);

  [[nodiscard]] std::string broadcast_text(const std::string& text);
  [[nodiscard]] std::vector<std::string> gather_texts(const std::string& text);
  /// rows: contiguous, on the CPU.
  [[nodiscard]] torch::Tensor gather_rows(const torch::Tensor& rows);
  [[nodiscard]] int agree(int value);
  [[nodiscard]] int agree_later(int value);
  /// Until what agree_later began is over.
  void wait();

 private:
  /// Rank 0's.
  void broadcast(torch::Tensor& tensor);
  /// One a rank; all have the same shape.
  [[nodiscard]] std::vector<torch::Tensor> all_gather(const torch::Tensor& tensor);

  c10::intrusive_ptr<c10d::ProcessGroupGloo> group_;
  c10::intrusive_ptr<c10d::Work> later_;
  std::vector<torch::Tensor> later_value_;
};

}  // namespace xception
