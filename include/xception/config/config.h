#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "xception/config/keys.h"

namespace xception {

/// `data.*`: which images, split how, of which size.
struct DataConfig {
  std::string format = "auto";
  std::string dir;  ///< empty: `data`; `--data` sets it
  std::int64_t image_size = 299;
  std::int64_t progressive_size = 0;   ///< of training images in the first epoch; 0: image_size
  std::int64_t progressive_start = 0;  ///< epochs at that size before it grows
  std::int64_t progressive_end = 0;    ///< epochs after which it is image_size
  std::int64_t validation_size = 5000;
  bool stratified = false;  ///< the validation split has the classes' own shares
  std::int64_t train_limit = 0;
  std::int64_t validation_limit = 0;
  std::int64_t test_limit = 0;
  std::int64_t shuffle_window = 16384;  ///< of shards; 0: all images
  bool drop_last = false;
  std::string on_error = "stop";  ///< of images that cannot be read: `stop`, `skip`
  std::int64_t workers = 0;       ///< 0: as many as LibTorch's threads
  std::int64_t cache_mb = 1024;   ///< of decoded images, a split and process

  std::vector<Key> keys();
};

/// `augment.*`: the transforms of each split, in order, and the normalization after them.
struct AugmentConfig {
  nlohmann::json train =
      nlohmann::json::array({{{"name", "random_resized_crop"}}, {{"name", "horizontal_flip"}}});
  nlohmann::json test = nlohmann::json::array({{{"name", "resize"}}, {{"name", "center_crop"}}});
  std::vector<double> mean = {0.485, 0.456, 0.406};
  std::vector<double> std = {0.229, 0.224, 0.225};

  std::vector<Key> keys();
};

/// What decides a run's input: which images, how they are transformed, in which order.
struct InputConfig {
  DataConfig data;
  AugmentConfig augment;
  std::int64_t seed = 0;
};

/// `train.*`: how the run goes.
struct TrainConfig {
  std::int64_t epochs = 10;
  std::int64_t stop_after_epoch = 0;        ///< 0: at the end
  std::int64_t early_stop_patience = 0;     ///< epochs; 0: never
  std::int64_t batch_size = 128;            ///< over all ranks
  std::int64_t batch_size_per_device = 0;   ///< another way to say it; 0 once resolved
  std::int64_t batch_size_step_epochs = 0;  ///< 0: the batch stays as large as it is
  double batch_size_gamma = 2.0;            ///< factor on it after so many epochs, each time
  std::int64_t batch_size_max = 0;          ///< 0: no limit
  std::int64_t eval_batch_size = 0;         ///< 0: as batch_size
  std::int64_t accumulate = 1;
  std::string init;                          ///< weights to begin with: a file or a run directory
  std::vector<std::string> freeze;           ///< patterns of names (core/name_pattern.h)
  std::int64_t freeze_batch_norm_epoch = 0;  ///< from this epoch on, counted from 1; 0: never
  std::string class_weights = "none";
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

}  // namespace xception
