#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "xception/core/state.h"
#include "xception/models/classifier.h"
#include "xception/train/run_directory.h"
#include "xception/weights/weight_file.h"

namespace xception {

/// Where a checkpoint stands in its run.
struct TrainingPosition {
  std::int64_t epoch = 0;          ///< complete epochs
  std::int64_t step_in_epoch = 0;  ///< steps done of the next one
  std::int64_t step = 0;           ///< optimizer steps done in all
};

/// What to save: the model, and everything that has state.
struct CheckpointContent {
  Classifier& model;
  std::vector<Stateful*> states;
  /// Of model.safetensors: what a program needs to use it without the run (train/model_card.h).
  TextMap metadata = {};
};

/// Writes `checkpoints/step-N`: built under a temporary name, synced, renamed; then `last` (and
/// with `best` also `best`) is pointed at it, and the checkpoints that they pointed at before are
/// removed. A failure leaves what was there as it was. Errors (run): names the file and the reason.
void save_checkpoint(const RunDirectory& directory, const TrainingPosition& place,
                     const CheckpointContent& content, bool best);

/// Whether there is a checkpoint `last` or `best`, or what copying a run makes of them: see
/// find_checkpoint_folder().
[[nodiscard]] bool has_checkpoint(const RunDirectory& directory, const std::string& name);

/// Whether both are the same checkpoint.
[[nodiscard]] bool is_same_checkpoint(const RunDirectory& directory, const std::string& one,
                                      const std::string& other);

/// Before a run goes on: makes links of `last` and `best` again where copying the run lost them or
/// made folders of them, points `best` at `last` if saving was cut short just before that, and
/// removes what was superseded then. Errors (input): they cannot be made sense of; nothing was
/// touched. Needs a checkpoint `last`.
void mend_checkpoints(const RunDirectory& directory);

/// Points `best` at `last`, where the checkpoint that was the best is lost.
void take_last_for_best(const RunDirectory& directory);

/// The weights that a path means: a file's (read_weights), or those of a run directory's best
/// checkpoint, or its last one if no epoch is complete, checked against the recorded sum. Errors
/// (input): as read_weights; a run without a checkpoint, damaged or altered.
[[nodiscard]] WeightFile read_file_or_run(const std::filesystem::path& path);

/// The file of a checkpoint's weights. Errors (input): no such checkpoint.
[[nodiscard]] std::filesystem::path checkpoint_weights(const RunDirectory& directory,
                                                       const std::string& name);

/// Loads the model alone, from `best` or `last`. Every file is checked against its recorded sum.
/// Errors (input): no such checkpoint, damaged or altered, from another model.
TrainingPosition load_checkpoint_model(const RunDirectory& directory, const std::string& name,
                                       Classifier& model);

/// Loads the model and every state.
TrainingPosition load_checkpoint(const RunDirectory& directory, const std::string& name,
                                 const CheckpointContent& content);

/// Parameters and buffers by their registered names.
[[nodiscard]] TensorMap model_tensors(const Classifier& model);

/// Copies tensors into the model's. Errors (input): missing, unexpected or of another shape;
/// `where` starts the message.
void load_model_tensors(Classifier& model, const TensorMap& tensors, const std::string& where);

}  // namespace xception
