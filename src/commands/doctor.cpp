#include <fmt/ranges.h>

#include <cmath>

#include "subcommands.h"
#include "xception/core/first_line.h"
#include "xception/core/format.h"
#include "xception/core/log.h"
#include "xception/core/version.h"
#include "xception/kernels/fused_selftest.h"
#include "xception/kernels/selftest.h"
#include "xception/models/registry.h"
#include "xception/models/xception.h"
#include "xception/parallel/device.h"
#include "xception/parallel/device_memory.h"
#include "xception/train/device_test.h"
#include "xception/train/environment.h"
#include "xception/train/experiment.h"
#include "xception/train/loss.h"
#include "xception/train/train_step.h"

namespace xception {
namespace {

/// Trains a narrow Xception on one batch of noise; empty if the loss is finite, else what went
/// wrong.
std::string small_step(const torch::Device& device, const std::string& precision_name) {
  try {
    RunConfig config;
    config.model.own<WidthOptions>().width = 0.125;
    config.model.own<XceptionOptions>().middle_blocks = 1;
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

struct DoctorOptions {
  bool as_json = false;
  bool retest = false;
  double seconds = TrainConfig{}.selftest_seconds;
  // Of the process that a test runs in.
  std::string worker, device = "auto", precision = "fp16", kernels = "fused";
};

/// What a test of a GPU comes to, and what is known of it in other precisions.
nlohmann::ordered_json tested(DeviceTest test, const DoctorOptions& options) {
  const auto asked = ask_device(test, options.seconds, options.retest);
  nlohmann::ordered_json json = {{"problem", asked.problem},
                                 {"precision", test.precision},
                                 {"time", asked.time},
                                 {"kept", asked.kept},
                                 {"others", nlohmann::ordered_json::object()}};
  for (const auto* other : {"fp32", "bf16"}) {
    test.precision = other;
    if (options.retest) (void)ask_device(test, options.seconds, /*again=*/true);
    if (const auto kept = kept_verdict(test)) json["others"][other] = kept->problem;
  }
  return json;
}

nlohmann::ordered_json check_device(const torch::Device& device, const DoctorOptions& options) {
  DeviceInfo info;
  try {
    info = describe_device(device);
  } catch (const std::exception& error) {  // the steps below say what is wrong with it
    info.name = "unknown";
  }
  nlohmann::ordered_json json = {{"device", device.str()},
                                 {"name", info.name},
                                 {"memory_bytes", info.memory_bytes},
                                 {"free_bytes", nullptr}};
  std::vector<std::string> precisions = {"fp32", "bf16"};
  if (is_tested(device)) {
    // Before this process opens the GPU, which may take one only.
    const auto kernels = tested({.device = device, .precision = "fp16"}, options);
    const bool fused = kernels["problem"].get<std::string>().empty();
    json["tests"]["fused_kernels"] = kernels;
    json["tests"]["cuda_graph"] = tested({.kind = DeviceTest::Kind::graph,
                                          .device = device,
                                          .precision = "fp16",
                                          .kernels = fused ? Kernels::fused : Kernels::reference},
                                         options);
  }
  if (device.is_cuda()) {
    precisions.emplace_back("fp16");
    json["kernels"] = kernel_selftest(device.index());
  } else {
    json["fused_kernels"] = fused_selftest(device);
  }
  for (const auto& precision : precisions) json["step"][precision] = small_step(device, precision);
  try {
    json["free_bytes"] = available_memory_bytes(device);
  } catch (const std::exception&) {  // the steps have said what is wrong
  }
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
      lines.push_back(
          fmt::format("{}: fused kernels fail: {}; use train.kernels=reference", name, fused));
    }
    if (device.contains("tests")) {
      for (const auto& [test, verdict] : device["tests"].items()) {
        const auto problem = verdict["problem"].get<std::string>();
        if (problem.empty()) continue;
        lines.push_back(fmt::format(
            "{}: the test of {} fails: {}; until then training goes without, which is slower; "
            "xception doctor --retest asks again",
            name, test == "cuda_graph" ? "a recorded step" : "fused kernels", problem));
      }
    }
    for (const auto& [precision, failure] : device["step"].items()) {
      if (failure.get<std::string>().empty()) continue;
      lines.push_back(
          fmt::format("{}: a step in {} fails: {}", name, precision, failure.get<std::string>()));
    }
  }
  return lines;
}

[[noreturn]] void work(const DoctorOptions& options) {
  const auto kind = options.worker == device_test_name(DeviceTest::Kind::graph)
                        ? DeviceTest::Kind::graph
                        : DeviceTest::Kind::kernels;
  answer_device_test({.kind = kind,
                      .device = parse_device(options.device),
                      .precision = options.precision,
                      .kernels = parse_kernels(options.kernels).value_or(Kernels::fused)});
}

/// The lines of a device's tests.
void show_tests(const nlohmann::ordered_json& tests) {
  for (const auto& [test, verdict] : tests.items()) {
    const auto text = [](const std::string& problem) {
      return problem.empty() ? std::string("passed") : "failed: " + problem;
    };
    spdlog::info(
        "  {:<14} {} in {} ({}{})", test == "cuda_graph" ? "recorded step" : "fused kernels",
        text(verdict["problem"]), verdict["precision"].get<std::string>(),
        verdict["kept"].get<bool>() ? "found " : "found now, ", verdict["time"].get<std::string>());
    for (const auto& [precision, problem] : verdict["others"].items()) {
      spdlog::info("  {:<14} {} in {}", "", text(problem), precision);
    }
  }
}

void examine(const DoctorOptions& options, Invocation& invocation) {
  if (options.as_json) start_log(/*to_standard_error=*/true);
  auto report = describe_environment();
  report["checks"] = nlohmann::ordered_json::array({check_device(torch::kCPU, options)});
  for (std::int64_t i = 0; i < cuda_device_count(); ++i) {
    report["checks"].push_back(
        check_device({torch::kCUDA, static_cast<c10::DeviceIndex>(i)}, options));
  }
  report["tests_file"] = verdict_file().string();
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
  if (options.as_json) {
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
    const auto& free = device["free_bytes"];
    spdlog::info("{:<14} {}, {} of {} free", device["device"].get<std::string>(),
                 device["name"].get<std::string>(),
                 free.is_null() ? "?" : format_bytes(free.get<std::int64_t>()),
                 format_bytes(device["memory_bytes"].get<std::int64_t>()));
    if (device.contains("fused_kernels")) {
      const auto fused = device["fused_kernels"].get<std::string>();
      spdlog::info("  fused kernels  {}",
                   fused.empty() ? "agree with LibTorch's" : "fail: " + fused);
    }
    if (device.contains("tests")) show_tests(device["tests"]);
    for (const auto& [precision, failure] : device["step"].items()) {
      const auto text = failure.get<std::string>();
      spdlog::info("  step in {:<6} {}", precision, text.empty() ? "works" : "fails: " + text);
    }
  }
  for (const auto& line : lines) spdlog::info("to mend: {}", line);
}

}  // namespace

void add_doctor_command(CLI::App& program, Invocation& invocation) {
  auto options = std::make_shared<DoctorOptions>();
  auto* command = program.add_subcommand(
      "doctor", "Show versions and devices, try a small step on each, say what to mend");
  command->add_flag("--json", options->as_json, "Print JSON");
  command->add_flag("--retest", options->retest,
                    "Test fused kernels and recorded steps again, whatever is known of them");
  command
      ->add_option("--selftest-seconds", options->seconds,
                   "Time limit of each of these tests (train.selftest_seconds)")
      ->check(CLI::Range(1.0, 86400.0))
      ->capture_default_str();
  // What ask_device() starts; not in the help.
  auto* worker = command->add_option("--selftest-worker", options->worker)
                     ->check(CLI::IsMember({"kernels", "graph"}))
                     ->group("");
  command->add_option("--device", options->device)->needs(worker)->group("");
  command->add_option("--precision", options->precision)->needs(worker)->group("");
  command->add_option("--kernels", options->kernels)->needs(worker)->group("");
  command->footer("Example: xception doctor");
  command->callback([options, &invocation] {
    if (!options->worker.empty()) work(*options);
    examine(*options, invocation);
  });
}

}  // namespace xception
