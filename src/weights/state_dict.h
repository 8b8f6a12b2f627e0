#pragma once

#include "pickle.h"
#include "torch_checkpoint.h"

namespace xception {

/// Finds the state dict in what torch.save was given (the model's weights alone, or a checkpoint
/// that has them under `state_dict`, `model`, ...) and adds its tensors, their storages and notes
/// to the checkpoint. Names lose a prefix that all have in common: `module.`, `_orig_mod.`,
/// `model.`. Averaged weights (EMA) are preferred, as timm does. Errors (input): there is none; a
/// tensor leaves its storage.
void add_state_dict(const PickleValue& saved, const InputFile& file, TorchCheckpoint& checkpoint);

/// Adds a storage, of which several tensors may be views. Errors (input): more values than the file
/// can hold; said to be of two kinds.
const TorchStorage& add_storage(const PickleValue& storage, const InputFile& file,
                                TorchCheckpoint& checkpoint);

}  // namespace xception
