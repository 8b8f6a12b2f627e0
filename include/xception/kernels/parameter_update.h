#pragma once

#include <torch/types.h>

#include <vector>

#include "xception/kernels/update_rule.h"

namespace xception {

/// A parameter and what a step of its optimizer reads and writes. All tensors are on one device,
/// dense, of the parameter's sizes and strides.
struct ParameterUpdate {
  torch::Tensor parameter;  ///< float32; float64 where the gradient is
  torch::Tensor gradient;   ///< float16, bfloat16, float32 or float64; only read
  torch::Tensor first;      ///< as parameter: Adam's first moment, SGD's momentum or undefined
  torch::Tensor second;     ///< as parameter: Adam's second moment; undefined for SGD
  torch::Tensor copy;       ///< gradient's dtype: gets the new parameter, rounded; or undefined
};

/// What is the same for all parameters of a step; scalars, on the parameters' device. Nothing waits
/// for them.
struct UpdateScalars {
  torch::Tensor lr;             ///< float32 or float64, one element
  torch::Tensor step;           ///< the same: which step this is, from 1; SGD needs none
  torch::Tensor inverse_scale;  ///< the same: gradients are multiplied by it; undefined: 1
  torch::Tensor found_inf;      ///< the same: where it isn't 0, nothing changes; undefined: 0
};

/// A step of `rule` for all parameters at once, equal but for rounding to torch.optim's Adam, AdamW
/// and SGD with fused=True: without amsgrad or dampening. Besides, gradients
/// may be narrower than parameters, which saves their cast, and a narrow copy of each parameter is
/// written in the same pass, which saves another. Arithmetic in the parameters' dtype.
///
/// Errors (run): another device, or tensors that don't fit each other.
void fused_update(const std::vector<ParameterUpdate>& updates, const UpdateRule& rule,
                  const UpdateScalars& scalars);

}  // namespace xception
