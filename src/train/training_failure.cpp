#include "training_failure.h"

#include "xception/core/first_line.h"

namespace xception {
namespace {

std::string notice(bool saved) {
  return saved ? "the last checkpoint is intact" : "nothing was saved yet";
}

}  // namespace

Error loss_not_finite(std::int64_t step, double learning_rate, const RunConfig& config,
                      const TrainingPosition& place, bool saved) {
  return run_error("train",
                   "loss is not finite at step {} (epoch {}), learning rate {:g}; try a lower "
                   "optimizer.lr, optimizer.clip_norm=1 or schedule.warmup_epochs=1, or another "
                   "train.precision (found {}); {}",
                   step + 1, place.epoch + 1, learning_rate, config.train.precision, notice(saved));
}

Error weights_not_finite(double learning_rate, const TrainingPosition& place, bool saved) {
  return run_error(
      "train",
      "weights are not finite after step {} (epoch {}), learning rate {:g}; try a lower "
      "optimizer.lr, optimizer.clip_norm=1 or schedule.warmup_epochs=1; {}",
      place.step, place.epoch + 1, learning_rate, notice(saved));
}

std::string device_fault_line(const std::string& text, const Experiment& experiment,
                              const TrainingPosition& place, bool saved) {
  const auto& execution = experiment.execution();
  const bool own = execution.kernels == Kernels::fused || execution.graph;
  return fmt::format(
      "[train] {}: {}, at about step {} (epoch {}); {}; {}", experiment.device().str(),
      first_line(text), place.step + 1, place.epoch + 1, notice(saved),
      own ? "our own kernels or the recorded step may be at fault: go on without them by --resume "
            "train.kernels=reference train.cuda_graph=false"
          : "train.kernels=reference train.cuda_graph=false was in use, so look at the GPU: "
            "xception doctor, nvidia-smi, the kernel's log (dmesg)");
}

}  // namespace xception
