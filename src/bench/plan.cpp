#include "xception/bench/plan.h"

#include "plan_checks.h"
#include "xception/bench/lists.h"
#include "xception/core/error.h"
#include "xception/core/log.h"
#include "xception/models/registry.h"
#include "xception/parallel/device.h"
#include "xception/train/precision.h"

namespace xception {
namespace {

/// A model of the list, `name` or `name:variant`.
struct NamedModel {
  std::string name;
  std::string variant;
};

std::vector<NamedModel> choose_models(const BenchRequest& request, const RunConfig& config,
                                      BenchMode mode) {
  const NamedModel configured{config.model.name, config.model.variant};
  if (mode == BenchMode::data) {
    if (request.models.empty()) return {configured};
    throw input_error("bench", "--models {}: --mode data measures no model; leave it out",
                      request.models);
  }
  std::vector<NamedModel> models;
  if (!request.models.empty()) {
    for (const auto& word : parse_words("--models", request.models)) {
      const auto colon = word.find(':');
      NamedModel model{word.substr(0, colon), ""};
      if (colon != std::string::npos) model.variant = word.substr(colon + 1);
      (void)find_model(model.name);
      models.push_back(std::move(model));
    }
    return models;
  }
  // A config that says anything of a model means that one.
  for (const auto& key : config.given) {
    if (key.starts_with("model.") && key != "model.num_classes") return {configured};
  }
  for (const auto& name : one_model_of_each_kind()) models.push_back({name, ""});
  return models;
}

std::vector<std::int64_t> choose_batches(const BenchRequest& request, const RunConfig& config,
                                         BenchMode mode, const torch::Device& device) {
  const auto& train = config.train;
  if (request.batch_sizes.empty()) {
    if (mode == BenchMode::inference && train.eval_batch_size > 0) return {train.eval_batch_size};
    const bool given = config.given.contains("train.batch_size");
    return {given || device.is_cuda() ? train.batch_size : 16};
  }
  if (request.batch_sizes == "auto") {
    if (mode != BenchMode::data) return {0};
    throw input_error("bench",
                      "--batch-size auto: --mode data has no largest batch; give a number");
  }
  return parse_numbers("--batch-size", request.batch_sizes, mode == BenchMode::train ? 2 : 1,
                       1'000'000);
}

std::vector<std::string> choose_precisions(const BenchRequest& request, const RunConfig& config,
                                           BenchMode mode) {
  if (request.precisions.empty()) {
    const auto& train = config.train;
    const bool evaluated = mode == BenchMode::inference && train.precision != "fp64";
    return {evaluated ? train.eval_precision : train.precision};
  }
  auto precisions = parse_words("--precision", request.precisions);
  for (const auto& name : precisions) (void)parse_precision(name);
  return precisions;
}

/// The model's own default where neither an option nor the config says a size.
std::vector<std::int64_t> choose_sizes(const BenchRequest& request, const RunConfig& config,
                                       const NamedModel& model) {
  if (!request.image_sizes.empty()) {
    return parse_numbers("--image-size", request.image_sizes, 1, 4096);
  }
  if (config.given.contains("data.image_size")) return {config.data.image_size};
  return {find_model(model.name).default_image_size};
}

RunConfig config_of_case(const RunConfig& base, const NamedModel& model, BenchMode mode,
                         std::int64_t size, const std::string& precision) {
  auto config = base;
  config.model.name = model.name;
  config.model.variant = model.variant;
  config.data.image_size = size;
  config.data.progressive_size = 0;
  config.train.batch_size_step_epochs = 0;
  config.train.precision = precision;
  config.train.eval_precision = precision == "fp64" ? "fp32" : precision;
  if (mode != BenchMode::data) {
    resolve_model(config);
  } else if (!config.model.dropout) {
    config.model.dropout = 0.0;
  }
  return config;
}

/// Of images that are drawn to be used.
void use_all_images(DataConfig& data) {
  data.validation_size = 0;
  data.train_limit = 0;
  data.test_limit = 0;
}

}  // namespace

std::string case_name(const BenchCase& item, BenchMode mode) {
  const auto& config = item.config;
  const auto batch = item.batch > 0 ? std::to_string(item.batch) : std::string("auto");
  return fmt::format("{}, {} px, {}, batch {}",
                     mode == BenchMode::data ? "data" : config.model.name, config.data.image_size,
                     item.precision, batch);
}

void set_batch(BenchCase& item, std::int64_t batch) {
  item.batch = batch;
  item.config.train.batch_size = batch;
  item.config.train.eval_batch_size = batch;
}

BenchPlan plan_bench(const BenchRequest& request) {
  BenchPlan plan;
  plan.mode = parse_bench_mode(request.mode);
  check_numbers(request);
  auto config = load_config(request.config_file, request.overrides);
  for (const auto& notice : config.notices) spdlog::info("{}", notice);
  resolve_batch_size(config, 1);
  if (!request.data.empty()) config.data.dir = request.data;
  plan.random_data = config.data.dir.empty();
  if (plan.random_data) use_all_images(config.data);
  check_keys(request, plan.mode);
  plan.device = parse_device(request.device);
  plan.max_batch =
      request.max_batch > 0 ? request.max_batch : (plan.device.is_cuda() ? 16384 : 1024);
  const auto batches = choose_batches(request, config, plan.mode, plan.device);
  const auto precisions = choose_precisions(request, config, plan.mode);
  for (const auto& model : choose_models(request, config, plan.mode)) {
    for (const auto size : choose_sizes(request, config, model)) {
      for (const auto& precision : precisions) {
        for (const auto batch : batches) {
          BenchCase item{.config = config_of_case(config, model, plan.mode, size, precision),
                         .precision = precision};
          if (batch > 0) set_batch(item, batch);
          plan.cases.push_back(std::move(item));
        }
      }
    }
  }
  if (!request.json.empty() && request.json == request.csv) {
    throw input_error("bench", "--csv {}: --json is the same file; expected another",
                      request.csv.string());
  }
  check_targets(request);
  return plan;
}

}  // namespace xception
