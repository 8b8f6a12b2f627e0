#include "xception/bench/bench.h"

#include "config_option.h"
#include "subcommands.h"

namespace xception {

void add_bench_command(CLI::App& program, Invocation& invocation) {
  auto request = std::make_shared<BenchRequest>();
  auto* command =
      program.add_subcommand("bench", "Measure how fast models train and evaluate here");
  add_config_options(*command, request->config_file);
  command->add_option("overrides", request->overrides, "key=value ..., after the config");
  command->add_option("--models", request->models,
                      "List of names, or name:variant (default: the config's, else one of each "
                      "kind: Xception, Inception V3, ResNet-18)");
  command
      ->add_option("--mode", request->mode,
                   "train (the trainer's step), inference (the evaluator's batch) or data (gather "
                   "and transforms alone)")
      ->capture_default_str();
  command->add_option("--batch-size", request->batch_sizes,
                      "List, or auto: the largest that fits (default: the config's, else 128 on a "
                      "GPU, 16 on the CPU)");
  command->add_option("--image-size", request->image_sizes,
                      "List, px (default: the config's, else the model's own, 299, which takes a "
                      "CPU seconds a step: try 71 and 75)");
  command->add_option("--precision", request->precisions,
                      "List of fp32, bf16, fp16, fp64 (default: the config's)");
  command->add_option("--device", request->device, "auto, cpu, cuda or cuda:N")
      ->capture_default_str();
  command->add_option("--data", request->data,
                      "Folder of a data set (default: random images in memory)");
  command->add_option("--windows", request->windows, "Measurements of each case")
      ->capture_default_str();
  auto* seconds =
      command->add_option("--window-seconds", request->window_seconds, "Length of a window, about")
          ->capture_default_str();
  command
      ->add_option("--steps", request->window_steps,
                   "Steps in a window, in place of --window-seconds")
      ->check(CLI::Range(1, 1'000'000))
      ->excludes(seconds);
  command->add_option("--warmup-steps", request->warmup_steps, "Steps of each case before that")
      ->capture_default_str();
  command->add_option("--max-batch", request->max_batch,
                      "Where --batch-size auto stops (default: 1024 on the CPU, 16384 on a GPU)");
  command->add_flag("--profile-range", request->profile_range,
                    "On a GPU: one more step of each case in the NVTX range `step`, for profilers "
                    "(ncu --nvtx --nvtx-include step/); kernels aren't timed then");
  command->add_option("--json", request->json, "Write everything there");
  command->add_option("--csv", request->csv, "Write a line a window there");
  command->add_flag("--overwrite", request->overwrite, "Also where these files exist");
  command->footer(
      "Every combination of models, sizes, precisions and batches is a case; their windows are "
      "interleaved.\n"
      "Example: xception bench --models xception,inception_v3 --image-size 75 --batch-size "
      "8,16,32");
  command->callback([request, &invocation] {
    request->command_line = invocation.command_line;
    invocation.exit_code = run_bench(*request);
  });
}

}  // namespace xception
