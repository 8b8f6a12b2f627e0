#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "xception/data/loader.h"
#include "xception/models/batch_norm.h"
#include "xception/models/classifier.h"
#include "xception/models/low_precision_weights.h"
#include "xception/optim/gradient_scaler.h"
#include "xception/optim/optimizer.h"
#include "xception/parallel/gradient_reducer.h"
#include "xception/parallel/share.h"
#include "xception/train/loss.h"
#include "xception/train/metrics.h"
#include "xception/train/precision.h"
#include "xception/train/step_graph.h"
#include "xception/train/step_probe.h"

namespace xception {

/// What else happens in each step. Recorded with the step where that is: a hook works on tensors of
/// the device and decides nothing on the host.
struct StepHooks {
  /// Changes a batch before the network sees it, as mixup does; its targets may become shares of
  /// classes, floating-point (N, classes).
  std::vector<std::function<void(Input& batch)>> on_batch = {};
  /// After the optimizer's update of the weights, as an average of them needs it.
  std::vector<std::function<void()>> after_update = {};
};

/// What the step works on; all of it outlives the step.
struct StepParts {
  Classifier& model;
  Loader& loader;
  Optimizer& optimizer;
  GradientScaler& scaler;
  ClassificationMetrics& metrics;
  GradientReducer* reducer = nullptr;            ///< where several ranks train together
  StatisticsSync* statistics = nullptr;          ///< where their BatchNorm is synchronized
  LowPrecisionWeights* low_precision = nullptr;  ///< which the optimizer writes; neither a reducer
                                                 ///< nor accumulation nor clipping goes with them
  StepHooks hooks = {};
};

/// How the step works.
struct StepOptions {
  Precision precision = {};
  std::int64_t accumulate = 1;
  Loss loss = {};
  double clip_norm = 0.0;
  int rank = 0;  ///< of the ranks that share each batch
  int ranks = 1;
};

/// One optimizer step: load, forward, loss, backward, update, metrics.
///
/// Of several ranks each computes its share of the batch (share_of_batch); a rank whose share is
/// empty goes along with images that count nothing, because the others wait for it.
///
/// What changes from step to step (learning rate, counters, a recordable loader's place) lies in
/// device tensors that the step itself moves on, and it decides nothing on the host: the same code
/// can be run again and again, or recorded once as a graph. The host gives only the batch size.
class TrainStep {
 public:
  TrainStep(StepParts parts, StepOptions options, const torch::Device& device);

  /// Points the step at a place of an epoch. rates: the learning rate of each of its steps.
  void start_epoch(const std::vector<double>& rates, std::int64_t first_global_step,
                   std::int64_t step_in_epoch, std::int64_t batch_size);

  /// Trains on the next `batch_size` images of the epoch, over all ranks. The probe, if any, is
  /// told of each phase's end.
  void run(std::int64_t batch_size, StepProbe* probe = nullptr);

  /// From now on full batches are recorded as a CUDA graph and replayed, where there is CUDA and
  /// the loader can be recorded; what comes of it goes to the log, unless `quiet`.
  void use_graph(StepGraphMaker make = make_step_graph, bool quiet = false);

  /// Records the next full batch anew, since the network computes something else now.
  void record_again() {
    if (graph_) graph_ = make_graph_(device_);
  }

  /// The one in use, or none.
  [[nodiscard]] const StepGraph* graph() const { return graph_.get(); }

 private:
  void compute(std::int64_t batch_size, StepProbe* probe);
  /// A part of this rank's share of a batch.
  struct Part {
    Share images;            ///< after the loader's place
    std::int64_t whole = 0;  ///< images of the batch, by which the sum of the losses is divided
    bool counts = true;      ///< else the loss is multiplied by 0
    bool last = true;        ///< of the share: then the gradients are summed over the ranks
  };
  /// Forward and backward.
  void run_part(const Part& part, StepProbe* probe);

  StepParts parts_;
  StepOptions options_;
  torch::Device device_;
  NamedParameters parameters_;
  torch::Tensor step_in_epoch_;  ///< int64 (1)
  torch::Tensor global_step_;    ///< int64 scalar
  torch::Tensor rates_;          ///< (steps), float64 on the CPU, float32 on CUDA
  std::int64_t full_batch_ = 0;
  std::int64_t image_size_ = 0;  ///< of this epoch's images, px
  void report_graph();

  StepGraphMaker make_graph_;
  bool graph_reported_ = false;
  std::unique_ptr<StepGraph> graph_;  ///< or none
};

/// The trainable parameters of a model by name.
[[nodiscard]] NamedParameters named_parameters(const Classifier& model);

}  // namespace xception
