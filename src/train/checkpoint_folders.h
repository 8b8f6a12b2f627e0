#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "xception/train/run_directory.h"

namespace xception {

/// The files of a checkpoint's folder.
constexpr const char* kModelFile = "model.safetensors";
constexpr const char* kStateTensorsFile = "optimizer.safetensors";
constexpr const char* kStateFile = "state.json";

/// The folder of checkpoint `last` or `best`, whatever copying the run made of the links: a link, a
/// copy of the folder in the link's place, a file with the folder's name in it, or nothing, where
/// the newest intact `step-N` is taken (as `best` the newest that was the best when it was saved).
/// Nothing if there is none. Errors (input): a link to a missing folder, a file that says something
/// else, damaged checkpoints and no intact one.
[[nodiscard]] std::optional<std::filesystem::path> find_checkpoint_folder(
    const RunDirectory& directory, const std::string& name);

/// The content of a checkpoint's state.json, its checksum included. Errors (input): missing,
/// damaged or altered.
[[nodiscard]] nlohmann::ordered_json read_checkpoint_state(const std::filesystem::path& folder);

/// Whether a folder is an intact checkpoint with this state.
[[nodiscard]] bool is_copy(const std::filesystem::path& folder,
                           const nlohmann::ordered_json& state);

/// A name for a new checkpoint: `step-N`, or where that exists already (stopped after an epoch's
/// last step, gone on, saved again after its validation) `step-N.2`: a folder is never replaced.
[[nodiscard]] std::string free_checkpoint_name(const RunDirectory& directory, std::int64_t step);

/// What a checkpoint that is about to be saved makes superfluous: names and checksums of those that
/// `last` and `best` point at now, and of those of the same step.
[[nodiscard]] nlohmann::ordered_json superseded_by_next(const RunDirectory& directory,
                                                        std::int64_t step);

/// Points `last` or `best` at a checkpoint in the same folder: a link, or where the file system has
/// none a file with its name. Errors (run).
void point_checkpoint(const RunDirectory& directory, const std::string& name,
                      const std::string& target);

/// Removes the checkpoints that `last` made superfluous (they carry the name that they were saved
/// under and the checksum that `last` recorded) and what killed processes left half-built. All else
/// stays, copies that somebody keeps among it.
void remove_superseded(const RunDirectory& directory);

}  // namespace xception
