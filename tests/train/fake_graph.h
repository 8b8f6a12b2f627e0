#pragma once

#include <functional>
#include <string>
#include <utility>

#include "xception/train/step_graph.h"

namespace xception {

/// A graph that does with a step's work what it is told.
class FakeGraph : public StepGraph {
 public:
  using Work = std::function<void()>;
  /// work, which step of the graph's this is (from 1)
  using Replay = std::function<void(const Work&, int)>;

  explicit FakeGraph(Replay replay, bool recorded = true, std::string obstacle = {})
      : replay_(std::move(replay)), recorded_(recorded), obstacle_(std::move(obstacle)) {}
  void run(const Work& work) override { replay_(work, ++steps_); }
  void run_once(const Work& work) override { work(); }
  [[nodiscard]] bool is_recorded() const override { return recorded_; }
  [[nodiscard]] std::string obstacle() const override { return obstacle_; }

 private:
  Replay replay_;
  bool recorded_;
  std::string obstacle_;
  int steps_ = 0;
};

}  // namespace xception
