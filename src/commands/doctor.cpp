#include <fmt/ranges.h>

#include <cmath>

#include "subcommands.h"
#include "xception/core/first_line.h"
#include "xception/core/log.h"
#include "xception/core/version.h"
#include "xception/kernels/fused_selftest.h"
#include "xception/kernels/selftest.h"
#include "xception/models/registry.h"
#include "xception/parallel/device.h"
#include "xception/train/environment.h"
#include "xception/train/experiment.h"
#include "xception/train/graph_selftest.h"
#include "xception/train/progress_line.h"
#include "xception/train/train_step.h"

namespace xception {
namespace {

/// Trains a narrow Xception on one batch of noise; empty if the loss is finite, else what went
/// wrong.
std::string small_step(const torch::Device& device, const std::string& precision_name) {
  try {
    RunConfig config;
    config.model.width = 0.125;
    config.model.middle_blocks = 1;
    config.data.image_size = 71;
    resolve_model(config);
    const auto precision = parse_precision(precision_name);
    const auto model = build_model(config.model);
    place_model(*model, device, precision.parameters, /*channels_last=*/true);
    const auto parameters = named_parameters(*model);
    const auto optimizer = build_optimizer(config.optimizer, parameters);
    const auto images =
        torch::rand({4, 3, 71, 71}, device).contiguous(torch::MemoryFormat::ChannelsLast);
    const auto labels = torch::arange(4, torch::TensorOptions(device).dtype(torch::kInt64));
    torch::Tensor loss;
    {
      const Autocast autocast(precision, device.type());
      loss = summed_cross_entropy(model->forward(images).logits, labels);
    }
    loss.backward();
    optimizer->step(torch::full({}, 1e-3, torch::TensorOptions(device).dtype(torch::kFloat32)), {});
    synchronize(device);
    return std::isfinite(loss.item<double>()) ? "" : "the loss is not finite";
  } catch (const std::exception& error) {
    return first_line(error.what());
  }
}

nlohmann::ordered_json check_device(const torch::Device& device) {
  DeviceInfo info;
  try {
    info = describe_device(device);
  } catch (const std::exception& error) {  // the steps below say what is wrong with it
    info.name = "unknown";
  }
  nlohmann::ordered_json json = {{"device", device.str()},
                                 {"name", info.name},
                                 {"memory_bytes", info.memory_bytes},
                                 {"free_bytes", info.free_bytes}};
  std::vector<std::string> precisions = {"fp32", "bf16"};
  if (device.is_cuda()) {
    precisions.emplace_back("fp16");
    json["kernels"] = kernel_selftest(device.index());
  }
  json["fused_kernels"] = fused_selftest(device);
  if (device.is_cuda()) {
    const bool fused = json["fused_kernels"].get<std::string>().empty();
    json["cuda_graph"] =
        graph_selftest(device, "fp16", fused ? Kernels::fused : Kernels::reference);
  }
  for (const auto& precision : precisions) json["step"][precision] = small_step(device, precision);
  return json;
}

/// What a person should mend, in order.
std::vector<std::string> advice(const nlohmann::ordered_json& report) {
  std::vector<std::string> lines;
  if (version().cuda.empty()) {
    lines.emplace_back(
        "this build is for the CPU: for a GPU, install the CUDA toolkit and run scripts/setup.sh");
  } else if (!cuda_available()) {
    lines.emplace_back(
        "no GPU is visible: check nvidia-smi, the driver and CUDA_VISIBLE_DEVICES; until then the "
        "CPU is used");
  }
  for (const auto& device : report["checks"]) {
    const auto name = device["device"].get<std::string>();
    const auto kernels = device.value("kernels", "");
    if (!kernels.empty()) {
      lines.push_back(
          fmt::format("{}: this build's kernels don't run: {}; configure with "
                      "-DCMAKE_CUDA_ARCHITECTURES=native",
                      name, kernels));
    }
    if (const auto fused = device.value("fused_kernels", ""); !fused.empty()) {
      lines.push_back(fmt::format(
          "{}: fused kernels fail: {}; until then LibTorch's are used, which are slower", name,
          fused));
    }
    if (const auto graph = device.value("cuda_graph", ""); !graph.empty()) {
      lines.push_back(
          fmt::format("{}: a step recorded as a CUDA graph fails: {}; until then none is recorded",
                      name, graph));
    }
    for (const auto& [precision, failure] : device["step"].items()) {
      if (failure.get<std::string>().empty()) continue;
      lines.push_back(
          fmt::format("{}: a step in {} fails: {}", name, precision, failure.get<std::string>()));
    }
  }
  return lines;
}

void examine(bool as_json, Invocation& invocation) {
  auto report = describe_environment();
  report["checks"] = nlohmann::ordered_json::array({check_device(torch::kCPU)});
  for (std::int64_t i = 0; i < cuda_device_count(); ++i) {
    report["checks"].push_back(check_device({torch::kCUDA, static_cast<c10::DeviceIndex>(i)}));
  }
  const auto lines = advice(report);
  report["advice"] = lines;
  bool works = true;
  for (const auto& device : report["checks"]) {
    works = works && device.value("kernels", "").empty();
    for (const auto& [precision, failure] : device["step"].items()) {
      works = works && failure.get<std::string>().empty();
    }
  }
  invocation.exit_code = works ? 0 : 1;
  if (as_json) {
    print_json(report);
    return;
  }
  for (const auto& [key, value] : report.items()) {
    if (value.is_string() || value.is_number()) {
      const auto text = value.is_string() ? value.get<std::string>() : value.dump();
      spdlog::info("{:<14} {}", key, text.empty() ? "-" : text);
    }
    if (key == "processor_features") {
      spdlog::info("{:<14} {}", "features", fmt::join(value.get<std::vector<std::string>>(), " "));
    }
  }
  for (const auto& device : report["checks"]) {
    spdlog::info("{:<14} {}, {} of {} free", device["device"].get<std::string>(),
                 device["name"].get<std::string>(),
                 format_bytes(device["free_bytes"].get<std::int64_t>()),
                 format_bytes(device["memory_bytes"].get<std::int64_t>()));
    const auto fused = device.value("fused_kernels", "");
    spdlog::info("  fused kernels  {}", fused.empty() ? "agree with LibTorch's" : "fail: " + fused);
    if (device.contains("cuda_graph")) {
      const auto graph = device.value("cuda_graph", "");
      spdlog::info("  CUDA graph     {}", graph.empty() ? "works" : "fails: " + graph);
    }
    for (const auto& [precision, failure] : device["step"].items()) {
      const auto text = failure.get<std::string>();
      spdlog::info("  step in {:<6} {}", precision, text.empty() ? "works" : "fails: " + text);
    }
  }
  for (const auto& line : lines) spdlog::info("to mend: {}", line);
}

}  // namespace

void add_doctor_command(CLI::App& program, Invocation& invocation) {
  auto as_json = std::make_shared<bool>(false);
  auto* command = program.add_subcommand(
      "doctor", "Show versions and devices, try a small step on each, say what to mend");
  command->add_flag("--json", *as_json, "Print JSON");
  command->footer("Example: xception doctor");
  command->callback([as_json, &invocation] { examine(*as_json, invocation); });
}

}  // namespace xception
