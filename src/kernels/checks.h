#pragma once

#include <ATen/core/Tensor.h>

#include "operations.h"
#include "xception/kernels/bn_act.h"

namespace xception {

/// Errors (run): x isn't an image that the kernels take.
void check_image(const char* operation, const at::Tensor& x);
/// Errors (run): x is neither an image that the kernels take nor a channel slice of one.
void check_rows(const char* operation, const at::Tensor& x);
/// Errors (run): `place`, where a result of x's sizes and dtype is to be written, isn't rows, or
/// has a gradient.
void check_place(const char* operation, const at::Tensor& place, const at::Tensor& x);
/// Errors (run): `other` hasn't the sizes, or x's dtype and device.
void check_like(const char* operation, const char* name, const at::Tensor& other,
                at::IntArrayRef sizes, const at::Tensor& x);
/// Errors (run): parameters that don't fit x; one value a channel.
void check_batch_norm(const char* operation, const at::Tensor& x, const BatchNormArguments& bn);
/// Errors (run): the gradient's own gradient is asked for.
void check_first_order(const char* operation);

/// A gradient as the kernels read it: channels_last, of x's dtype.
at::Tensor as_image(const at::Tensor& gradient, const at::Tensor& x);

/// A gradient as BatchNorm's kernels read it: a channel slice stays one, all else is as_image().
at::Tensor as_rows(const at::Tensor& gradient, const at::Tensor& x);

/// The BatchNorm of a forward pass among the saved variables of an autograd function, as
/// (coefficients, statistics, weight).
BatchNormSaved batch_norm_of(const at::Tensor& coefficients, const at::Tensor& statistics,
                             const at::Tensor& weight, bool training);

/// A tensor of its own on the memory of `x`: autograd would take a view's history from its base.
at::Tensor same_memory(const at::Tensor& x);

}  // namespace xception
