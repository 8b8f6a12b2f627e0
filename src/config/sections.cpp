#include "xception/config/config.h"

namespace xception {
namespace {

constexpr KeyUse kMayChange{.may_change = true};
constexpr KeyUse kTrainingOnly{.training_only = true};
/// Where, when and how safely a run is made: nothing of its result.
constexpr KeyUse kAside{.decides = false};
constexpr KeyUse kAsideMayChange{.decides = false, .may_change = true};

}  // namespace

std::vector<Key> DataConfig::keys() {
  return {{"format",
           &format,
           {},
           "layout of the files, such as cifar10; auto: recognized by the names of the files"},
          {"dir", &dir, {}, "folder of the data set; --data sets it", {}, kAsideMayChange},
          {"image_size", &image_size, between(32, 2048), "side of the network's input, px"},
          {"validation_size", &validation_size, between(0, 1e9),
           "images taken from the training files for validation"},
          {"stratified", &stratified, {}, "draw the validation images class by class"},
          {"train_limit", &train_limit, between(0, 1e9), "use the first n training images; 0: all"},
          {"validation_limit", &validation_limit, between(0, 1e9),
           "use the first n validation images; 0: all"},
          {"test_limit", &test_limit, between(0, 1e9), "use the first n test images; 0: all"},
          {"shuffle_window", &shuffle_window, between(0, 1e9),
           "images of shards that are shuffled together, read from neighboring places; 0: all"},
          {"drop_last", &drop_last, {}, "leave out the last batch of an epoch if it is not full"}};
}

std::vector<Key> AugmentConfig::keys() {
  return {{"train", &train, {}, "transforms of training images, in order"},
          {"test", &test, {}, "transforms of validation, test and predicted images, in order"},
          {"mean", &mean, between(0, 1), "subtracted from red, green, blue in 0 .. 1"},
          {"std", &std, above(0), "then divided by"}};
}

std::vector<Key> TrainConfig::keys() {
  return {
      {"epochs",
       &epochs,
       between(1, 1e6),
       "passes over the training images",
       {},
       {.may_change = true, .training_only = true}},
      {"stop_after_epoch",
       &stop_after_epoch,
       between(0, 1e6),
       "save and leave after so many epochs, to go on later; 0: train all epochs",
       {},
       {.decides = false, .may_change = true, .training_only = true}},
      {"batch_size", &batch_size, between(1, 1e6), "images an optimizer step, over all ranks"},
      {"batch_size_per_device",
       &batch_size_per_device,
       between(0, 1e6),
       "in place of batch_size: images a step on each rank; 0: not used",
       {},
       kAside},
      {"eval_batch_size",
       &eval_batch_size,
       between(0, 1e6),
       "images a batch in evaluation, on each rank; 0: a rank's part of batch_size",
       {},
       kMayChange},
      {"accumulate",
       &accumulate,
       between(1, 1e6),
       "parts that a batch is computed in, one after the other, to save memory",
       {},
       kTrainingOnly},
      {"init",
       &init,
       {},
       "weights to begin with: a file (safetensors, PyTorch, Keras) or a run directory; a head of "
       "another size stays fresh; --init sets it",
       {},
       kTrainingOnly},
      {"freeze",
       &freeze,
       {},
       "names or patterns of parameters or parts that aren't trained, such as [\"conv*\"]; their "
       "BatchNorm keeps its running statistics",
       {},
       kTrainingOnly},
      {"class_weights",
       &class_weights,
       Choices{"none", "balanced"},
       "balanced: a class counts in the loss by images / (classes * its images)",
       {},
       kTrainingOnly},
      {"precision", &precision, Choices{"fp32", "fp16", "bf16", "fp64"},
       "fp16 and bf16: autocast, fp16 with a gradient scaler"},
      {"eval_precision", &eval_precision, Choices{"fp32", "fp16", "bf16"},
       "precision of validation and test; a run in fp64 is evaluated in fp64"},
      {"eval_fold_batch_norm",
       &eval_fold_batch_norm,
       {},
       "evaluate with each BatchNorm in the weights of the convolution before it: faster, "
       "equal but for rounding"},
      {"label_smoothing", &label_smoothing, below(0, 1), "of the cross entropy", {}, kTrainingOnly},
      {"channels_last", &channels_last, {}, "memory format NHWC"},
      {"kernels",
       &kernels,
       Choices{"auto", "reference", "fused"},
       "reference: LibTorch's operations; fused: our own where they apply "
       "(channels_last, one rank's BatchNorm); auto: fused, on a GPU only if a test at the "
       "start agrees",
       {},
       kMayChange},
      {"cuda_graph",
       &cuda_graph,
       {},
       "record the whole step once as a CUDA graph and replay it; turns itself off, saying "
       "why, where that isn't safe (several ranks; a test at the start fails; memory)",
       {},
       kMayChange},
      {"selftest_seconds",
       &selftest_seconds,
       between(0, 86400),
       "time limit of each of the two tests before the first run on a GPU (fused kernels, "
       "recorded step); 0: none is made, both are used untested",
       {},
       kAsideMayChange},
      {"deterministic", &deterministic, {}, "only algorithms that repeat bit for bit"},
      {"cudnn_benchmark", &cudnn_benchmark, {}, "let cuDNN time its algorithms"},
      {"log_interval",
       &log_interval,
       between(1, 1e9),
       "steps between two log lines where there is no terminal",
       {},
       kAsideMayChange},
      {"checkpoint_interval",
       &checkpoint_interval,
       between(0, 1e9),
       "steps between two checkpoints inside an epoch; 0: at its end only",
       {},
       kAsideMayChange}};
}

std::vector<Key> ParallelConfig::keys() {
  return {{"threads",
           &threads,
           between(0, 1024),
           "CPU threads of a process; 0: one a core, shared by ranks",
           {},
           kAsideMayChange},
          {"batch_norm",
           &batch_norm,
           Choices{"rank0", "sync"},
           "over the rank's own batch, keeping rank 0's running statistics, or over all ranks",
           {},
           kTrainingOnly},
          {"timeout",
           &timeout,
           between(1, 1e6),
           "seconds that a rank waits for the others in one collective",
           {},
           kAsideMayChange},
          {"heartbeat",
           &heartbeat,
           between(0, 1e6),
           "seconds without a sign of life after which a rank counts as lost; 0: never",
           {},
           kAsideMayChange},
          {"bucket_mb",
           &bucket_mb,
           Range{.low = 0, .high = 4096, .low_open = true},
           "megabytes of gradients that are summed over the ranks together",
           {},
           kAside},
          {"find_unused_parameters",
           &find_unused_parameters,
           {},
           "look in each step for parameters that get no gradient",
           {},
           kAside}};
}

}  // namespace xception
