#include "xception/config/config.h"

namespace xception {

void ModelConfig::visit(KeyVisitor& visitor) {
  visitor.key("name", name, {}, "network, as `xception models` lists it");
  visitor.key("variant", variant, {}, "variant of the network; empty: its first");
  visitor.key("num_classes", num_classes, between(2, 1e6), "number of classes");
  visitor.key("dropout", dropout, below(0, 1),
              "dropout before the classifier; null: the network's own (xception 0, inception_v3 "
              "0.5)");
  visitor.key("width", width, {.low = 0, .high = 8, .low_open = true},
              "xception: factor on every channel count");
  visitor.key("middle_blocks", middle_blocks, between(0, 64),
              "xception: blocks of the middle flow");
  visitor.key("residual", residual, "xception: shortcuts around the blocks");
  visitor.key("separable_order", separable_order, {"depthwise_first", "pointwise_first"},
              "xception: order inside a separable convolution");
  visitor.key("intermediate_activation", intermediate_activation,
              {"none", "relu", "elu", "gelu", "silu", "leaky_relu", "mish", "hardswish"},
              "xception: activation between depthwise and pointwise convolution");
  visitor.key("aux_weight", aux_weight, between(0, 10),
              "inception_v3: weight of the auxiliary head's loss; null: 0.4 from 299 px, else 0");
  visitor.key("aux_logits", aux_logits, "inception_v3: build the auxiliary head");
}

void DataConfig::visit(KeyVisitor& visitor) {
  visitor.key("format", format, {}, "layout of the files, such as cifar10");
  visitor.key("dir", dir, {}, "folder of the data set; --data sets it");
  visitor.key("image_size", image_size, between(32, 2048), "side of the network's input, px");
  visitor.key("validation_size", validation_size, between(0, 1e9),
              "images taken from the training files for validation");
  visitor.key("stratified", stratified, "draw the validation images class by class");
  visitor.key("train_limit", train_limit, between(0, 1e9),
              "use the first n training images; 0: all");
  visitor.key("validation_limit", validation_limit, between(0, 1e9),
              "use the first n validation images; 0: all");
  visitor.key("test_limit", test_limit, between(0, 1e9), "use the first n test images; 0: all");
  visitor.key("drop_last", drop_last, "leave out the last batch of an epoch if it is not full");
}

void AugmentConfig::visit(KeyVisitor& visitor) {
  visitor.list("train", train, "transforms of training images, in order");
  visitor.list("test", test, "transforms of validation, test and predicted images, in order");
  visitor.key("mean", mean, between(0, 1), "subtracted from red, green, blue in 0 .. 1");
  visitor.key("std", std, above(0), "then divided by");
}

void OptimizerConfig::visit(KeyVisitor& visitor) {
  visitor.key("name", name, {"adam", "adamw", "sgd"}, "update rule");
  visitor.key("lr", lr, above(0), "learning rate");
  visitor.key("beta1", beta1, below(0, 1), "adam, adamw: decay of the first moment");
  visitor.key("beta2", beta2, below(0, 1), "adam, adamw: decay of the second moment");
  visitor.key("eps", eps, at_least(1e-30), "adam, adamw: added to the denominator");
  visitor.key("momentum", momentum, below(0, 1), "sgd: momentum");
  visitor.key("weight_decay", weight_decay, at_least(0),
              "adam, sgd: L2 penalty; adamw: decoupled decay");
  visitor.key("clip_norm", clip_norm, at_least(0), "largest norm of all gradients; 0: no clipping");
}

void ScheduleConfig::visit(KeyVisitor& visitor) {
  visitor.key("name", name, {"constant", "cosine", "step"}, "learning rate over the run");
  visitor.key("warmup_epochs", warmup_epochs, at_least(0), "linear rise from 0 to optimizer.lr");
  visitor.key("min_lr", min_lr, at_least(0), "cosine: learning rate at the end");
  visitor.key("step_epochs", step_epochs, above(0), "step: epochs between two decays");
  visitor.key("gamma", gamma, {.low = 0, .high = 1, .low_open = true}, "step: factor of a decay");
}

void TrainConfig::visit(KeyVisitor& visitor) {
  visitor.key("epochs", epochs, between(1, 1e6), "passes over the training images");
  visitor.key("stop_after_epoch", stop_after_epoch, between(0, 1e6),
              "save and leave after so many epochs, to go on later; 0: train all epochs");
  visitor.key("batch_size", batch_size, between(1, 1e6),
              "images an optimiser step, over all ranks");
  visitor.key("batch_size_per_device", batch_size_per_device, between(0, 1e6),
              "in place of batch_size: images a step on each rank; 0: not used");
  visitor.key("eval_batch_size", eval_batch_size, between(0, 1e6),
              "images a batch in evaluation, on each rank; 0: a rank's part of batch_size");
  visitor.key("accumulate", accumulate, between(1, 1e6),
              "parts that a batch is computed in, one after the other, to save memory");
  visitor.key("precision", precision, {"fp32", "fp16", "bf16", "fp64"},
              "fp16 and bf16: autocast, fp16 with a gradient scaler");
  visitor.key("eval_precision", eval_precision, {"fp32", "fp16", "bf16"},
              "precision of validation and test; a run in fp64 is evaluated in fp64");
  visitor.key("eval_fold_batch_norm", eval_fold_batch_norm,
              "evaluate with each BatchNorm in the weights of the convolution before it: faster, "
              "equal but for rounding");
  visitor.key("label_smoothing", label_smoothing, below(0, 1), "of the cross entropy");
  visitor.key("channels_last", channels_last, "memory format NHWC");
  visitor.key("kernels", kernels, {"auto", "reference", "fused"},
              "reference: LibTorch's operations; fused: our own where they apply "
              "(channels_last, one rank's BatchNorm); auto: fused, on a GPU only if a test at the "
              "start agrees");
  visitor.key("cuda_graph", cuda_graph,
              "record the whole step once as a CUDA graph and replay it; turns itself off, saying "
              "why, where that isn't safe (several ranks; a test at the start fails; memory)");
  visitor.key("selftest_seconds", selftest_seconds, between(0, 86400),
              "time limit of each of the two tests before the first run on a GPU (fused kernels, "
              "recorded step); 0: none is made, both are used untested");
  visitor.key("deterministic", deterministic, "only algorithms that repeat bit for bit");
  visitor.key("cudnn_benchmark", cudnn_benchmark, "let cuDNN time its algorithms");
  visitor.key("log_interval", log_interval, between(1, 1e9),
              "steps between two log lines where there is no terminal");
  visitor.key("checkpoint_interval", checkpoint_interval, between(0, 1e9),
              "steps between two checkpoints inside an epoch; 0: at its end only");
}

void ParallelConfig::visit(KeyVisitor& visitor) {
  visitor.key("threads", threads, between(0, 1024),
              "CPU threads of a process; 0: one a core, shared by ranks");
  visitor.key("batch_norm", batch_norm, {"rank0", "sync"},
              "over the rank's own batch, keeping rank 0's running statistics, or over all ranks");
  visitor.key("timeout", timeout, between(1, 1e6),
              "seconds that a rank waits for the others in one collective");
  visitor.key("heartbeat", heartbeat, between(0, 1e6),
              "seconds without a sign of life after which a rank counts as lost; 0: never");
  visitor.key("bucket_mb", bucket_mb, {.low = 0, .high = 4096, .low_open = true},
              "megabytes of gradients that are summed over the ranks together");
  visitor.key("find_unused_parameters", find_unused_parameters,
              "look in each step for parameters that get no gradient");
}

}  // namespace xception
