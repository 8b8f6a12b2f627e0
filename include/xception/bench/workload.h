#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "xception/data/dataset.h"
#include "xception/models/classifier.h"
#include "xception/models/complexity.h"
#include "xception/train/execution.h"
#include "xception/train/run_config.h"
#include "xception/train/step_probe.h"

namespace xception {

/// What is measured.
enum class BenchMode {
  train,      ///< optimizer steps as the trainer does them
  inference,  ///< batches as the evaluator does them
  data,       ///< gather and transforms of training batches alone
};

/// `train`, `inference`, `data`. Errors (input): another word.
[[nodiscard]] BenchMode parse_bench_mode(const std::string& name);
[[nodiscard]] const char* bench_mode_name(BenchMode mode);

/// Random images and labels in memory, 32 px, as many for training as for testing; the same each
/// time, without a draw from the generators of a run.
[[nodiscard]] Dataset random_dataset(std::int64_t images, std::int64_t classes);

/// A model in a mode, ready to do steps: the trainer's and the evaluator's own objects.
class Workload {
 public:
  virtual ~Workload() = default;

  /// Does steps of so many images each, and stops early after a stop signal; doesn't wait for the
  /// device. When an epoch's images are used up, it starts anew with them. Returns the steps done.
  virtual std::int64_t run(std::int64_t steps, std::int64_t batch, StepProbe* probe = nullptr) = 0;

  /// Takes the next epoch if the current one has fewer than so many images left.
  virtual void prepare(std::int64_t images) = 0;

  /// What the model costs; all 0 if there is none.
  [[nodiscard]] virtual Complexity complexity() = 0;

  /// How its steps were computed: kernels, and whether a graph was recorded by now.
  [[nodiscard]] virtual Execution execution() const = 0;

  /// Nothing if there is no model.
  [[nodiscard]] virtual const Classifier* model() const = 0;
};

/// Builds what `xception train` would build of this config, after seeding the generators as it
/// does. config: resolved (resolve_model); for inference its train.eval_precision and
/// eval_batch_size count. Errors (input): as Experiment; fewer images than a batch.
[[nodiscard]] std::unique_ptr<Workload> build_workload(BenchMode mode, const RunConfig& config,
                                                       const Dataset& dataset,
                                                       const torch::Device& device);

}  // namespace xception
