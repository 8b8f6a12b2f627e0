#include "xception/train/network_selftest.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "small_training.h"

namespace xception {
namespace {

constexpr std::int64_t kComparedSteps = 3;
// Distances from what is learned exactly, in shares of the length of the updates. Measured on a
// CPU: in bfloat16 0.12 with LibTorch's operations and 0.13 with fused ones (Xception's depthwise
// weights), 0.003 to 0.012 (its others), 0.17 to 0.21 (Inception V3); in float32 with fused ones up
// to 0.012.
constexpr double kFactor = 2.0;
constexpr double kMargin = 0.05;  ///< beyond kFactor times LibTorch's
/// Of the length of the logits of an evaluation in float32.
constexpr double kLogits = 1e-3;

/// Parameters whose updates are of a kind, and of a length that another kind's would hide.
struct Group {
  const char* name;
  bool (*has)(const torch::Tensor&);
};

constexpr std::array<Group, 3> kGroups{{
    {"depthwise weights", [](const torch::Tensor& p) { return p.dim() == 4 && p.size(1) == 1; }},
    {"weights", [](const torch::Tensor& p) { return p.dim() > 1 && p.size(1) > 1; }},
    {"BatchNorm's weights and biases", [](const torch::Tensor& p) { return p.dim() == 1; }},
}};

std::vector<torch::Tensor> those_of(const Group& group, const std::vector<torch::Tensor>& all) {
  std::vector<torch::Tensor> found;
  std::copy_if(all.begin(), all.end(), std::back_inserter(found), group.has);
  return found;
}

std::string difference(const std::string& model, const torch::Device& device,
                       const std::string& precision) {
  SmallTraining training{.model = model,
                         .precision = precision,
                         .optimizer = "sgd",
                         .dropout = 0.0,
                         .steps = kComparedSteps};
  const auto learned = [&](const std::string& in, Kernels kernels) {
    training.precision = in;
    training.kernels = kernels;
    return train_small(training, device);
  };
  const auto exact = learned(precision == "fp64" ? precision : "fp32", Kernels::reference);
  const auto with_plain = learned(precision, Kernels::reference);
  training.evaluate = true;
  const auto with_fused = learned(precision, Kernels::fused);
  for (const auto& group : kGroups) {
    const auto expected = those_of(group, exact.after);
    if (expected.empty()) continue;
    const double updates = distance(expected, those_of(group, exact.before));
    const double plain = distance(those_of(group, with_plain.after), expected) / updates;
    const double fused = distance(those_of(group, with_fused.after), expected) / updates;
    // Not finite: false.
    if (fused <= kFactor * plain + kMargin) continue;
    return fmt::format(
        "a small {} in {} learns something else than with LibTorch's operations: its {} are off by "
        "{:.3g} of the length of their updates, with LibTorch's by {:.3g}",
        model, precision, group.name, fused, plain);
  }
  const double length = with_fused.plain_logits.to(torch::kFloat64).norm().item<double>();
  const double evaluated = distance({with_fused.logits}, {with_fused.plain_logits});
  if (evaluated <= kLogits * length) return {};
  return fmt::format(
      "a small {} evaluates something else than with LibTorch's operations: its logits are off by "
      "{:.3g} of their length",
      model, evaluated / length);
}

}  // namespace

std::string network_selftest(const torch::Device& device, const std::string& precision) {
  return test_models(
      device, [&](const std::string& model) { return difference(model, device, precision); });
}

}  // namespace xception
