#include "xception/train/execution.h"

#include <set>

#include "xception/core/log.h"
#include "xception/train/device_test.h"

namespace xception {
namespace {

constexpr const char* kAgain = "xception doctor --retest asks again";
constexpr const char* kNoGpu = "only GPUs record steps";

/// Says a thing once a process, however often it is planned.
void warn_once(const std::string& line) {
  static std::set<std::string> said;
  if (said.insert(line).second) spdlog::warn("warning: {}", line);
}

/// Whether `auto` is a question here.
bool asks_about_kernels(const RunConfig& config, const torch::Device& device) {
  return !parse_kernels(config.train.kernels) && is_tested(device) &&
         config.train.selftest_seconds > 0.0;
}

DeviceTest kernels_test(const RunConfig& config, const torch::Device& device) {
  return {.kind = DeviceTest::Kind::kernels, .device = device, .precision = config.train.precision};
}

DeviceVerdict verdict_of(const DeviceTest& test, const RunConfig& config, Asking asking) {
  if (asking == Asking::look) return kept_verdict(test).value_or(DeviceVerdict{});
  return ask_device(test, config.train.selftest_seconds);
}

Execution plan_kernels(const RunConfig& config, const torch::Device& device, Asking asking) {
  Execution execution;
  execution.kernels = parse_kernels(config.train.kernels).value_or(Kernels::fused);
  if (!asks_about_kernels(config, device)) return execution;
  const auto verdict = verdict_of(kernels_test(config, device), config, asking);
  if (verdict.problem.empty()) return execution;
  execution.kernels = Kernels::reference;
  execution.kernels_reason = "their test failed: " + verdict.problem;
  warn_once(fmt::format(
      "train.kernels: auto: reference on {}, because the test of fused kernels failed{}: {}; {}",
      device.str(), verdict.kept ? " on " + verdict.time : "", verdict.problem, kAgain));
  return execution;
}

/// All ranks compute with the same kernels: LibTorch's, where one of them must.
void agree_on_kernels(Execution& execution, Communicator& ranks) {
  if (ranks.is_alone()) return;
  const auto reasons = ranks.gather_texts(execution.kernels_reason);
  for (std::size_t rank = 0; rank < reasons.size(); ++rank) {
    if (reasons[rank].empty() || execution.kernels == Kernels::reference) continue;
    execution.kernels = Kernels::reference;
    execution.kernels_reason = fmt::format("on rank {} {}", rank, reasons[rank]);
    warn_once(fmt::format("train.kernels: auto: reference, because on rank {} {}; {} there", rank,
                          reasons[rank], kAgain));
  }
}

}  // namespace

nlohmann::ordered_json to_json(const Execution& execution) {
  return {{"kernels", kernels_name(execution.kernels)},
          {"kernels_reason", execution.kernels_reason},
          {"cuda_graph", execution.graph ? "on" : "off"},
          {"cuda_graph_reason", execution.graph_reason}};
}

Execution plan_evaluation(const RunConfig& config, const torch::Device& device) {
  auto execution = plan_kernels(config, device, Asking::ask);
  execution.graph_reason = "nothing is trained";
  return execution;
}

Execution plan_training(const RunConfig& config, const torch::Device& device, Communicator& ranks,
                        Asking asking) {
  auto execution = plan_kernels(config, device, asking);
  agree_on_kernels(execution, ranks);
  if (!config.train.cuda_graph) {
    execution.graph_reason = "train.cuda_graph is false";
    return execution;
  }
  if (!is_tested(device)) {
    execution.graph_reason = kNoGpu;
    return execution;
  }
  if (!ranks.is_alone()) {
    execution.graph_reason = "several ranks sum their gradients outside of it";
    spdlog::info("train.cuda_graph: off: {}", execution.graph_reason);
    return execution;
  }
  if (config.train.selftest_seconds > 0.0) {
    const auto verdict = verdict_of({.kind = DeviceTest::Kind::graph,
                                     .device = device,
                                     .precision = config.train.precision,
                                     .kernels = execution.kernels},
                                    config, asking);
    if (!verdict.problem.empty()) {
      execution.graph_reason = "its test failed: " + verdict.problem;
      warn_once(fmt::format("train.cuda_graph: off, because its test failed on {}{}: {}; {}",
                            device.str(), verdict.kept ? ", on " + verdict.time : "",
                            verdict.problem, kAgain));
      return execution;
    }
  }
  execution.graph = device.is_cuda();
  if (!execution.graph) execution.graph_reason = kNoGpu;
  return execution;
}

void ask_early(const RunConfig& config, const torch::Device& device) {
  if (!asks_about_kernels(config, device)) return;
  (void)ask_device(kernels_test(config, device), config.train.selftest_seconds);
}

}  // namespace xception
