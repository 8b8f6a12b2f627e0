#include "xception/train/execution.h"

#include "xception/core/log.h"
#include "xception/train/device_test.h"

namespace xception {
namespace {

constexpr const char* kAgain = "xception doctor --retest asks again";

const char* name_of(Kernels kernels) {
  return kernels == Kernels::fused ? "fused" : "reference";
}

}  // namespace

nlohmann::ordered_json to_json(const Execution& execution) {
  return {{"kernels", name_of(execution.kernels)},
          {"kernels_reason", execution.kernels_reason},
          {"cuda_graph", execution.graph ? "on" : "off"},
          {"cuda_graph_reason", execution.graph_reason}};
}

Execution plan_evaluation(const RunConfig& config, const torch::Device& device) {
  Execution execution;
  execution.graph_reason = "nothing is trained";
  const auto asked = parse_kernels(config.train.kernels);
  execution.kernels = asked.value_or(Kernels::fused);
  const double seconds = config.train.selftest_seconds;
  if (asked || !is_tested(device) || seconds == 0.0) return execution;
  const auto verdict = ask_device(
      {.kind = DeviceTest::Kind::kernels, .device = device, .precision = config.train.precision},
      seconds);
  if (verdict.problem.empty()) return execution;
  execution.kernels = Kernels::reference;
  execution.kernels_reason = "their test failed: " + verdict.problem;
  spdlog::warn(
      "warning: train.kernels: auto: reference on {}, because the test of fused kernels failed{}: "
      "{}; {}",
      device.str(), verdict.kept ? " on " + verdict.time : "", verdict.problem, kAgain);
  return execution;
}

Execution plan_training(const RunConfig& config, const torch::Device& device, Communicator& ranks) {
  auto execution = plan_evaluation(config, device);
  // Agreed on by all, so that no rank computes with other kernels than the rest.
  const bool fused = execution.kernels == Kernels::fused;
  if (!ranks.is_alone() && ranks.agree(fused ? 0 : 1) != 0 && fused) {
    execution.kernels = Kernels::reference;
    execution.kernels_reason = "their test failed on another rank";
  }
  if (!config.train.cuda_graph) {
    execution.graph_reason = "train.cuda_graph is false";
    return execution;
  }
  if (!is_tested(device)) {
    execution.graph_reason = "only GPUs record steps";
    return execution;
  }
  if (!ranks.is_alone()) {
    execution.graph_reason = "several ranks sum their gradients outside of it";
    spdlog::info("train.cuda_graph: off: {}", execution.graph_reason);
    return execution;
  }
  if (const double seconds = config.train.selftest_seconds; seconds > 0.0) {
    const auto verdict = ask_device({.kind = DeviceTest::Kind::graph,
                                     .device = device,
                                     .precision = config.train.precision,
                                     .kernels = execution.kernels},
                                    seconds);
    if (!verdict.problem.empty()) {
      execution.graph_reason = "its test failed: " + verdict.problem;
      spdlog::warn("warning: train.cuda_graph: off, because its test failed on {}{}: {}; {}",
                   device.str(), verdict.kept ? ", on " + verdict.time : "", verdict.problem,
                   kAgain);
      return execution;
    }
  }
  execution.graph = device.is_cuda();
  execution.graph_reason = execution.graph ? "" : "only GPUs record steps";
  return execution;
}

}  // namespace xception
