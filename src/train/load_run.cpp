#include "xception/train/load_run.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "xception/core/allocation_limit.h"
#include "xception/core/error.h"
#include "xception/core/json.h"
#include "xception/core/log.h"
#include "xception/models/registry.h"
#include "xception/train/checkpoint.h"
#include "xception/train/experiment.h"
#include "xception/train/model_card.h"
#include "xception/weights/fit.h"
#include "xception/weights/recognize.h"

namespace xception {
namespace {

/// Builds a config's model, unless it takes far more memory than the weights that are to go into
/// it, which would be noticed only afterwards: a config may come from anybody.
std::shared_ptr<Classifier> build_for(const std::filesystem::path& weights,
                                      const ModelConfig& config) {
  // As float64 of float16, with what initial values take, and as much as any network may have.
  constexpr std::uint64_t kTimes = 16;
  constexpr std::uint64_t kAlways = 256 << 20;
  std::error_code missing;  // is said where it is read
  const auto size = std::filesystem::file_size(weights, missing);
  const auto bytes = missing ? 0 : size;
  const AllocationLimit limit(
      kTimes * bytes + kAlways,
      input_error("train",
                  "{}: its config describes a larger network than its {} bytes hold; the file is "
                  "damaged, or its model.* are another file's",
                  weights.string(), bytes));
  return build_model(config);
}

/// Builds the config's model on the device, in evaluation mode. weights: the file of them.
LoadedRun build_loaded(RunConfig config, const std::filesystem::path& weights,
                       const torch::Device& device) {
  LoadedRun loaded;
  loaded.config = std::move(config);
  resolve_model(loaded.config);
  apply_runtime_settings(loaded.config);
  loaded.model = build_for(weights, loaded.config.model);
  const auto precision = parse_precision(loaded.config.train.precision);
  // Before this process opens a GPU, which may take one only.
  loaded.kernels = plan_evaluation(loaded.config, device).kernels;
  place_model(*loaded.model, device, precision.parameters, loaded.config.train.channels_last);
  use_kernels(*loaded.model, loaded.kernels);
  loaded.model->eval();
  return loaded;
}

std::vector<std::string> names_of_all(std::vector<std::string> names, std::int64_t classes) {
  for (auto i = std::ssize(names); i < classes; ++i) names.push_back(fmt::format("class {}", i));
  return names;
}

/// The settings that the file's tensors tell, without those that the user overrides.
std::vector<std::string> recognized_settings(const WeightFile& weights,
                                             const std::vector<std::string>& overrides) {
  std::vector<std::string> settings;
  const auto known = recognize_weights(weights);
  if (!known) return settings;
  spdlog::info("{}: {}", weights.file.string(), known->source);
  for (const auto& remark : known->remarks) spdlog::info("{}", remark);
  for (const auto& [key, value] : known->settings) {
    const auto is_same = [&](const std::string& text) { return text.starts_with(key + "="); };
    if (std::none_of(overrides.begin(), overrides.end(), is_same)) {
      settings.push_back(fmt::format("{}={}", key, value));
    }
  }
  return settings;
}

}  // namespace

LoadedRun load_run(const std::filesystem::path& run, const std::string& checkpoint,
                   const torch::Device& device) {
  const RunDirectory directory(run);
  auto config = directory.read_config();
  auto loaded = build_loaded(std::move(config), checkpoint_weights(directory, checkpoint), device);
  loaded.place = load_checkpoint_model(directory, checkpoint, *loaded.model);
  std::vector<std::string> names;
  if (std::filesystem::exists(directory.summary())) {
    names = read_json(directory.summary(), "train")
                .value("/data/classes"_json_pointer, std::vector<std::string>());
  }
  loaded.class_names = names_of_all(std::move(names), loaded.config.model.num_classes);
  return loaded;
}

LoadedRun load_weights(const std::filesystem::path& file, const std::vector<std::string>& overrides,
                       const torch::Device& device) {
  const auto weights = read_weights(file);
  for (const auto& note : weights.notes) spdlog::info("{}", note);
  const auto card = read_model_card(weights.metadata, file.string());
  auto config = card.config ? config_of_json(*card.config, file.string()) : RunConfig();
  if (!card.config) override_config(config, recognized_settings(weights, overrides));
  override_config(config, overrides);
  auto loaded = build_loaded(std::move(config), file, device);
  fit_weights(*loaded.model, weights);
  loaded.class_names = names_of_all(card.class_names, loaded.config.model.num_classes);
  return loaded;
}

}  // namespace xception
