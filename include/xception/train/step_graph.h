#pragma once

#include <torch/types.h>

#include <functional>
#include <memory>
#include <string>

namespace xception {

/// Runs the same device work again and again: a few times as it is, then recorded as a CUDA graph,
/// and replayed from then on, which costs the host one call.
///
/// The work must decide nothing on the host, and read and write what outlives a call at the same
/// addresses each time. It runs in a stream of its own, which waits for the caller's stream and is
/// waited for by it; the host never waits.
class StepGraph {
 public:
  virtual ~StepGraph() = default;

  /// Does the work; as it is where it cannot be recorded.
  virtual void run(const std::function<void()>& work) = 0;

  /// Does other work (a batch of another size) in the same stream, as it is.
  virtual void run_once(const std::function<void()>& work) = 0;

  [[nodiscard]] virtual bool is_recorded() const = 0;

  /// Why it never will be; empty while it is or may be.
  [[nodiscard]] virtual std::string obstacle() const = 0;
};

using StepGraphMaker = std::function<std::unique_ptr<StepGraph>(const torch::Device&)>;

/// For a CUDA device; nothing without CUDA in the build.
[[nodiscard]] std::unique_ptr<StepGraph> make_step_graph(const torch::Device& device);

}  // namespace xception
