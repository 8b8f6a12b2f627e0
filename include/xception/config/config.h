#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "xception/config/keys.h"

namespace xception {

/// `model.*`: which network. A key that the chosen model doesn't have may not be set.
struct ModelConfig {
  std::string name = "xception";  ///< a name of the models' registry
  std::string variant;            ///< empty: the model's first variant
  std::int64_t num_classes = 10;
  std::optional<double> dropout;  ///< before the classifier; unset: the model's own
  // Xception
  double width = 1.0;              ///< multiplies every channel count
  std::int64_t middle_blocks = 8;  ///< blocks of the middle flow
  bool residual = true;            ///< shortcuts around the blocks (paper, Fig. 9)
  std::string separable_order = "depthwise_first";
  std::string intermediate_activation = "none";  ///< between the two convolutions (paper, Fig. 10)
  // Inception V3
  std::optional<double>
      aux_weight;          ///< of the auxiliary head's loss; unset: 0.4 from 299 px, else 0
  bool aux_logits = true;  ///< whether the auxiliary head is built

  std::vector<Key> keys();
};

/// `data.*`: which images, split how, of which size.
struct DataConfig {
  std::string format = "cifar10";
  std::string dir;  ///< empty: `data`; `--data` sets it
  std::int64_t image_size = 299;
  std::int64_t validation_size = 5000;
  bool stratified = false;  ///< the validation split has the classes' own shares
  std::int64_t train_limit = 0;
  std::int64_t validation_limit = 0;
  std::int64_t test_limit = 0;
  bool drop_last = false;

  std::vector<Key> keys();
};

/// `augment.*`: the transforms of each split, in order, and the normalisation after them.
struct AugmentConfig {
  nlohmann::json train =
      nlohmann::json::array({{{"name", "random_resized_crop"}}, {{"name", "horizontal_flip"}}});
  nlohmann::json test = nlohmann::json::array({{{"name", "resize"}}, {{"name", "center_crop"}}});
  std::vector<double> mean = {0.485, 0.456, 0.406};
  std::vector<double> std = {0.229, 0.224, 0.225};

  std::vector<Key> keys();
};

/// `optimizer.*`.
struct OptimizerConfig {
  std::string name = "adam";
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double momentum = 0.9;
  double weight_decay = 0.0;
  double clip_norm = 0.0;  ///< 0: gradients are not clipped

  std::vector<Key> keys();
};

/// `schedule.*`: the learning rate as a function of the step.
struct ScheduleConfig {
  std::string name = "constant";
  double warmup_epochs = 0.0;
  double min_lr = 0.0;
  double step_epochs = 2.0;
  double gamma = 0.94;

  std::vector<Key> keys();
};

/// `train.*`: how the run goes.
struct TrainConfig {
  std::int64_t epochs = 10;
  std::int64_t stop_after_epoch = 0;       ///< 0: at the end
  std::int64_t batch_size = 128;           ///< over all ranks
  std::int64_t batch_size_per_device = 0;  ///< another way to say it; 0 once resolved
  std::int64_t eval_batch_size = 0;        ///< 0: as batch_size
  std::int64_t accumulate = 1;
  std::string precision = "fp32";
  std::string eval_precision = "fp32";
  bool eval_fold_batch_norm = true;
  double label_smoothing = 0.0;
  bool channels_last = true;
  std::string kernels = "auto";
  bool cuda_graph = true;
  double selftest_seconds = 60.0;  ///< 0: no tests
  bool deterministic = false;
  bool cudnn_benchmark = true;
  std::int64_t log_interval = 50;
  std::int64_t checkpoint_interval = 0;  ///< steps; 0: at the end of each epoch

  std::vector<Key> keys();
};

/// `parallel.*`.
struct ParallelConfig {
  std::int64_t threads = 0;  ///< of the CPU, a process; 0: its share of the cores
  std::string batch_norm = "rank0";
  double timeout = 600.0;   ///< seconds
  double heartbeat = 30.0;  ///< seconds
  double bucket_mb = 25.0;  ///< of gradients that are reduced together
  bool find_unused_parameters = false;

  std::vector<Key> keys();
};

/// All that decides the result of a run. Written to the run directory before the first step.
struct RunConfig {
  ModelConfig model;
  DataConfig data;
  AugmentConfig augment;
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  TrainConfig train;
  ParallelConfig parallel;
  std::int64_t seed = 0;

  /// The dotted keys that the file or the command line gave. Not written.
  std::set<std::string> given;
};

/// Reads a config file and applies `key=value` overrides in order. A value is JSON where it parses
/// as JSON, else a string. Without a file, the defaults are overridden.
/// Errors: a key that two overrides give different values; input errors that name the file or
/// `command line`, the key, what was found and expected.
[[nodiscard]] RunConfig load_config(const std::optional<std::filesystem::path>& file,
                                    const std::vector<std::string>& overrides);

/// Reads the config that `to_json` wrote. `where` starts the messages. Errors (input).
[[nodiscard]] RunConfig config_of_json(const nlohmann::json& json, const std::string& where);

/// Settles the global batch for so many ranks: `train.batch_size`, or the ranks times
/// `train.batch_size_per_device`, which is 0 afterwards. Errors (input): both are given and differ.
void resolve_batch_size(RunConfig& config, int ranks);
/// Errors (input): the ranks don't divide the batch; names one that they do.
void check_batch_size(const RunConfig& config, int ranks);

/// Every key with its value, in the order of declaration; `load_config` reads it back unchanged.
[[nodiscard]] nlohmann::ordered_json to_json(RunConfig config);

/// Every key with type, default, range and meaning.
[[nodiscard]] std::vector<KeyDescription> config_schema();

}  // namespace xception
