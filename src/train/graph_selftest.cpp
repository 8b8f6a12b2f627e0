#include "xception/train/graph_selftest.h"

#include <fmt/format.h>

#include "small_training.h"

namespace xception {
namespace {

/// Of the length of all updates together: room for kernels that add in no fixed order. On a CPU a
/// graph that leaves out one step differs by 0.36.
constexpr double kTolerance = 0.1;

std::string difference(const SmallTraining& training, const torch::Device& device,
                       const StepGraphMaker& make) {
  const auto expected = train_small(training, device);
  const auto found = train_small(training, device, make);
  if (!found.obstacle.empty()) return found.obstacle;
  const double updates = distance(expected.after, expected.before);
  if (!(updates > 0)) return fmt::format("a small {} doesn't learn", training.model);
  // Not finite: false.
  const double off = distance(found.after, expected.after);
  if (off <= kTolerance * updates) return {};
  return fmt::format(
      "a recorded step doesn't do what the step does: a small {} in {} is off by {:.3g} of its "
      "updates' length",
      training.model, training.precision, off / updates);
}

}  // namespace

std::string graph_selftest(const torch::Device& device, const std::string& precision,
                           Kernels kernels, const StepGraphMaker& make) {
  return test_models(device, [&](const std::string& model) {
    return difference({.model = model, .precision = precision, .kernels = kernels, .epochs = 2},
                      device, make);
  });
}

}  // namespace xception
