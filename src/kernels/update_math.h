#pragma once

#include "host_device.h"
#include "xception/kernels/update_rule.h"

// What an optimizer's step needs beside the tensors, for CPUs and GPUs alike; all in double.

namespace xception {

/// g = gradient * inverse_scale (+ decay * p, where decay isn't 0), then
///   SGD:  m = momentum * m + g;                     p -= rate * m (or g, without m)
///         with Nesterov's momentum                  p -= rate * (g + ahead * m)
///   Adam: m += first * (g - m); v = keep * v + second * g * g;
///         p = shrink * p - rate * m / (sqrt(v) * root_scale + eps)
struct UpdateNumbers {
  double inverse_scale = 1.0, decay = 0.0;
  double momentum = 0.0, ahead = 0.0;
  double first = 0.0, keep = 0.0, second = 0.0;
  double shrink = 1.0, rate = 0.0, root_scale = 1.0, eps = 0.0;
};

/// Sources: Kingma & Ba, arXiv 1412.6980, algorithm 1 (epsilon as in PyTorch, beside the corrected
/// root); Loshchilov & Hutter, arXiv 1711.05101, algorithm 2; torch.optim.SGD's documentation.
/// power(x, y), root(x): the device's.
template <typename Power, typename Root>
XCEPTION_HOST_DEVICE UpdateNumbers update_numbers(const UpdateRule& rule, double lr, double step,
                                                  double inverse_scale, const Power& power,
                                                  const Root& root) {
  UpdateNumbers numbers;
  numbers.inverse_scale = inverse_scale;
  numbers.momentum = rule.momentum;
  numbers.ahead = rule.nesterov ? rule.momentum : 0.0;
  numbers.decay = rule.kind == UpdateKind::adamw ? 0.0 : rule.weight_decay;
  numbers.rate = lr;
  if (rule.kind == UpdateKind::sgd) return numbers;
  numbers.first = 1.0 - rule.beta1;
  numbers.keep = rule.beta2;
  numbers.second = 1.0 - rule.beta2;
  numbers.eps = rule.eps;
  numbers.rate = lr / (1.0 - power(rule.beta1, step));
  numbers.root_scale = 1.0 / root(1.0 - power(rule.beta2, step));
  if (rule.kind == UpdateKind::adamw) numbers.shrink = 1.0 - lr * rule.weight_decay;
  return numbers;
}

}  // namespace xception
