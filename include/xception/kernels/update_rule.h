#pragma once

namespace xception {

/// How a step of an optimizer computes the new parameters, as torch.optim's Adam, AdamW and SGD do.
enum class UpdateKind { adam, adamw, sgd };

/// A kind of update with its constants; those of other kinds are not read. The learning rate isn't
/// one of them: it changes from step to step, on the device.
struct UpdateRule {
  UpdateKind kind = UpdateKind::adam;
  double beta1 = 0.0, beta2 = 0.0, eps = 0.0;  ///< adam, adamw
  double momentum = 0.0;                       ///< sgd
  bool nesterov = false;                       ///< sgd, with momentum
  double weight_decay = 0.0;                   ///< adam, sgd: L2 penalty; adamw: decoupled decay
};

}  // namespace xception
