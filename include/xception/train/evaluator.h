#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <optional>

#include "xception/data/batch_source.h"
#include "xception/models/classifier.h"
#include "xception/parallel/communicator.h"
#include "xception/train/metrics.h"
#include "xception/train/precision.h"

namespace xception {

/// The outcome of one pass over a split, on every rank the whole.
struct Evaluation {
  MetricValues metrics;
  // Undefined without EvaluationOptions::predictions:
  torch::Tensor indices;        ///< int64 (n), CPU
  torch::Tensor labels;         ///< int64 (n), CPU
  torch::Tensor probabilities;  ///< float32 (n, classes), CPU
};

/// How to evaluate.
struct EvaluationOptions {
  Precision precision = {};  ///< whether to cast; images get the dtype of the weights
  std::int64_t batch_size = 128;
  bool channels_last = true;
  bool predictions = true;        ///< whether to keep each image's probabilities
  Communicator* ranks = nullptr;  ///< who share the work; nullptr: this process alone
  /// Asked between batches; empty: never. All ranks ask equally often.
  std::function<bool()> interrupted = {};
  std::function<void(std::int64_t images)> progress = {};  ///< told between batches; may be empty
};

/// Runs the model in evaluation mode over every image of the source, each counted once, the partial
/// last batch included, without TF32 (float32 means float32). Ranks share whole batches, so that
/// the same images are computed together whatever their number. The model is left in the mode that
/// it was in. Nothing if interrupted.
[[nodiscard]] std::optional<Evaluation> evaluate(Classifier& model, BatchSource& source,
                                                 const Pipeline& pipeline,
                                                 const EvaluationOptions& options);

}  // namespace xception
