#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "xception/bench/output.h"
#include "xception/parallel/device.h"

namespace xception {
namespace {

using Json = nlohmann::ordered_json;

template <class Value>
Json or_null(const std::optional<Value>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json json_of(const Spread& spread) {
  return {{"median", spread.median}, {"min", spread.min}, {"max", spread.max}};
}

/// An object with the phases that a mode goes through.
Json json_of(const PhaseTimes& times, BenchMode mode) {
  Json json = Json::object();
  for (const auto phase : step_phases()) {
    const bool training = phase == StepPhase::backward || phase == StepPhase::optimizer;
    if (training && mode != BenchMode::train) continue;
    if (phase != StepPhase::data && mode == BenchMode::data) continue;
    json[phase_name(phase)] = times.at(static_cast<std::size_t>(phase));
  }
  return json;
}

/// What the case is and how it went.
Json describe(const CaseResult& result, BenchMode mode) {
  const auto& item = result.item;
  const auto& model = item.config.model;
  const bool has_model = mode != BenchMode::data;
  return {
      {"model", has_model ? Json(model.name) : Json(nullptr)},
      {"variant", has_model ? Json(model.variant) : Json(nullptr)},
      {"mode", bench_mode_name(mode)},
      {"precision", item.precision},
      {"image_size", item.config.data.image_size},
      {"batch_size", item.batch > 0 ? Json(item.batch) : Json(nullptr)},
      {"batch_size_searched", result.searched},
      {"channels_last", item.config.train.channels_last},
      {"optimizer", mode == BenchMode::train ? Json(item.config.optimizer.name) : Json(nullptr)},
      {"average", mode == BenchMode::train ? Json(item.config.average.name) : Json(nullptr)},
      {"status", status_name(result.status)},
      {"error", result.error.empty() ? Json(nullptr) : Json(result.error)}};
}

/// How the steps were computed; the same names where nobody knows.
Json json_of(const std::optional<Execution>& execution) {
  if (!execution) {
    return {{"kernels", nullptr},
            {"kernels_reason", nullptr},
            {"cuda_graph", nullptr},
            {"cuda_graph_reason", nullptr}};
  }
  auto json = to_json(*execution);
  json["cuda_graph"] = execution->graph ? "recorded" : "off";
  return json;
}

/// What was measured and counted, without the single windows and steps.
void add_figures(Json& json, const CaseResult& result, const BenchResults& results) {
  const auto figures = figures_of(result, results.mode, results.machine);
  const bool measured = !result.images_per_second.empty();
  json["execution"] = json_of(result.execution);
  json["window_steps"] = result.window_steps;
  json["images_per_second"] = measured ? json_of(figures.images_per_second) : Json(nullptr);
  json["step_ms"] = measured ? Json(figures.step_milliseconds) : Json(nullptr);
  json["split_ms"] = result.split.empty() ? Json(nullptr) : json_of(figures.split, results.mode);
  json["peak_memory_bytes"] = or_null(result.peak_memory);
  json["parameters"] = result.complexity.parameters;
  json["multiply_adds"] = result.complexity.multiply_adds;
  json["step_flops"] = figures.step_flops;
  json["flops_per_second"] = or_null(figures.flops_per_second);
  json["share_of_peak"] = or_null(figures.peak_share);
  json["operators"] = result.operators.operators;
  json["operand_read_bytes"] = result.operators.read_bytes;
  json["operand_written_bytes"] = result.operators.written_bytes;
  json["operand_bytes_per_second"] = or_null(figures.bytes_per_second);
  json["share_of_copy"] = or_null(figures.copy_share);
  json["kernel_launches"] = or_null(result.kernel_launches());
}

std::string cell(const Json& value) {
  if (value.is_null()) return "";
  if (!value.is_string()) return value.dump();
  auto text = value.get<std::string>();
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char letter : text)
    quoted += letter == '"' ? std::string("\"\"") : std::string(1, letter);
  return quoted + "\"";
}

/// Members of objects become columns `a_b`.
void flatten(const Json& json, const std::string& prefix, Json& flat) {
  for (const auto& [key, value] : json.items()) {
    const auto name = prefix.empty() ? key : prefix + "_" + key;
    if (value.is_object()) {
      flatten(value, name, flat);
    } else {
      flat[name] = value;
    }
  }
}

/// One line's columns; the same names whatever was measured.
Json columns(const CaseResult& result, const BenchResults& results) {
  auto json = describe(result, results.mode);
  add_figures(json, result, results);
  if (json["images_per_second"].is_null()) {
    json["images_per_second"] = {{"median", nullptr}, {"min", nullptr}, {"max", nullptr}};
  }
  if (json["split_ms"].is_null()) {
    json["split_ms"] = json_of(PhaseTimes{}, results.mode);
    for (auto& value : json["split_ms"]) value = nullptr;
  }
  Json flat = Json::object();
  flatten(json, "", flat);
  flat["device"] = describe_device(results.device).name;
  flat["time"] = results.environment.at("time");
  return flat;
}

}  // namespace

Json bench_json(const BenchResults& results) {
  const auto info = describe_device(results.device);
  Json json;
  json["environment"] = results.environment;
  json["device"] = {
      {"device", results.device.str()}, {"name", info.name}, {"memory_bytes", info.memory_bytes}};
  json["command_line"] = results.command_line;
  json["mode"] = bench_mode_name(results.mode);
  json["data"] = results.data;
  json["windows"] = results.windows;
  json["signal"] = results.signal;
  json["device_fault"] = results.device_fault.empty() ? Json(nullptr) : Json(results.device_fault);
  auto& machine = json["machine"];
  machine["matrix_product_flops_per_second"] = Json::object();
  for (const auto& [precision, rates] : results.machine.products) {
    machine["matrix_product_flops_per_second"][precision] = rates;
  }
  machine["copy_bytes_per_second"] = results.machine.copies;
  json["cases"] = Json::array();
  for (const auto place : order_by_speed(results.cases)) {
    const auto& result = results.cases[place];
    auto item = describe(result, results.mode);
    add_figures(item, result, results);
    item["windows_images_per_second"] = result.images_per_second;
    item["split_steps_ms"] = Json::array();
    for (const auto& step : result.split) {
      item["split_steps_ms"].push_back(json_of(step, results.mode));
    }
    item["kernels"] = Json::array();
    for (const auto& [name, kernel] : result.kernels) {
      item["kernels"].push_back({{"name", name},
                                 {"launches", kernel.launches},
                                 {"milliseconds", 1000.0 * kernel.seconds}});
    }
    json["cases"].push_back(std::move(item));
  }
  return json;
}

std::string bench_csv(const BenchResults& results) {
  std::string text;
  for (const auto place : order_by_speed(results.cases)) {
    const auto& result = results.cases[place];
    auto line = columns(result, results);
    const auto& speeds = result.images_per_second;
    for (std::size_t window = 0; window < std::max<std::size_t>(1, speeds.size()); ++window) {
      const bool measured = window < speeds.size();
      line["window"] = measured ? Json(window + 1) : Json(nullptr);
      line["window_images_per_second"] = measured ? Json(speeds[window]) : Json(nullptr);
      std::vector<std::string> names;
      std::vector<std::string> cells;
      for (const auto& [name, value] : line.items()) {
        names.push_back(name);
        cells.push_back(cell(value));
      }
      if (text.empty()) text = fmt::format("{}\n", fmt::join(names, ","));
      text += fmt::format("{}\n", fmt::join(cells, ","));
    }
  }
  return text;
}

}  // namespace xception
