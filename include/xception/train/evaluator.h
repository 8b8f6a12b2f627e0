#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "xception/data/loader.h"
#include "xception/models/classifier.h"
#include "xception/models/fold.h"
#include "xception/parallel/communicator.h"
#include "xception/train/metrics.h"
#include "xception/train/precision.h"
#include "xception/train/step_probe.h"
#include "xception/train/views.h"

namespace xception {

/// The outcome of one pass over a split, on every rank the whole.
struct Evaluation {
  MetricValues metrics;
  std::optional<MetricValues> views = {};  ///< of the mean over EvaluationOptions::views, if any
  // Undefined without EvaluationOptions::predictions:
  torch::Tensor indices;        ///< int64 (n), CPU
  torch::Tensor labels;         ///< int64 (n), CPU
  torch::Tensor probabilities;  ///< float32 (n, classes), CPU
  torch::Tensor of_views;       ///< likewise, the mean over views; undefined without any
};

/// How to evaluate.
struct EvaluationOptions {
  Precision precision = {};  ///< whether to cast
  std::int64_t batch_size = 128;
  bool fold_batch_norm = false;   ///< whether convolutions do their BatchNorm's work
  bool predictions = true;        ///< whether to keep each image's probabilities
  std::vector<View> views = {};   ///< also evaluate the mean over these views of an image
  Communicator* ranks = nullptr;  ///< who share the work; nullptr: this process alone
  /// Asked between batches; empty: never. All ranks ask equally often.
  std::function<bool()> interrupted = {};
  std::function<void(std::int64_t images)> progress = {};  ///< told between batches; may be empty
};

/// Keeps cuDNN from computing float32 convolutions with TF32's short mantissa, for its lifetime.
class FullPrecision {
 public:
  FullPrecision();
  ~FullPrecision();
  FullPrecision(const FullPrecision&) = delete;
  FullPrecision& operator=(const FullPrecision&) = delete;

 private:
  bool was_allowed_;
};

/// Evaluates batches. For its lifetime the model is in evaluation mode, this thread records no
/// gradients, and float32 means float32; then all is as it was.
class BatchEvaluator {
 public:
  /// Model and loader outlive it.
  BatchEvaluator(Classifier& model, Loader& loader, const EvaluationOptions& options);

  /// What was computed of a batch.
  struct Result {
    Input batch;
    torch::Tensor logits;    ///< (N, classes)
    torch::Tensor of_views;  ///< (N, classes), mean probabilities over views; undefined without any
  };
  /// The loader's next `images`. The probe, if any, is told of start, data, forward, loss and
  /// metrics.
  Result run(std::int64_t images, StepProbe* probe = nullptr);

  /// Of the batches so far.
  [[nodiscard]] ClassificationMetrics& metrics() { return metrics_; }
  /// The same of the means over views.
  [[nodiscard]] ClassificationMetrics& view_metrics() { return view_metrics_; }

 private:
  Classifier& model_;
  Loader& loader_;
  Precision precision_;
  torch::NoGradGuard no_grad_;
  EvaluationMode mode_;
  FullPrecision full_precision_;
  std::optional<FoldedBatchNorms> folded_;
  torch::TensorOptions weights_;
  std::vector<View> views_;
  ClassificationMetrics metrics_, view_metrics_;
};

/// Runs the model in evaluation mode over every image of the loader, each counted once, the partial
/// last batch included, without TF32 (float32 means float32). Ranks share whole batches, so that
/// the same images are computed together whatever their number. The model is left in the mode that
/// it was in. Nothing if interrupted.
[[nodiscard]] std::optional<Evaluation> evaluate(Classifier& model, Loader& loader,
                                                 const EvaluationOptions& options);

}  // namespace xception
