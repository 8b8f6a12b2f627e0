#include "config_option.h"
#include "find_lr.h"
#include "subcommands.h"
#include "xception/parallel/device.h"
#include "xception/train/start.h"

namespace xception {

void add_train_command(CLI::App& program, Invocation& invocation) {
  auto request = std::make_shared<TrainRequest>();
  auto range = std::make_shared<LrRange>();
  auto find_lr = std::make_shared<bool>(false);
  auto* command = program.add_subcommand("train", "Train a model into a run directory");
  add_config_options(*command, request->config_file);
  command->add_option("overrides", request->overrides, "key=value ..., after the config");
  command->add_option("--init", request->init,
                      "Weights to begin with: a file of safetensors, PyTorch or Keras, or a run "
                      "directory (train.init)");
  command->add_option(
      "--data", request->data,
      "Folder of the data set (data.dir): the files of CIFAR-10, CIFAR-100 or MNIST, "
      "tar shards, or images as train/CLASS/*.jpg");
  command->add_option("--out", request->out, "Run directory (default: runs/<name of the config>)");
  command->add_option("--device", request->device, kDeviceHelp)->capture_default_str();
  command->add_option("--ranks", request->ranks,
                      "Processes that train together (with --device cpu; GPUs: one each)");
  command->add_flag("--resume", request->resume,
                    "Go on from the last checkpoint, or start if there is none");
  command->add_flag("--deterministic", request->deterministic,
                    "Only algorithms that repeat bit for bit");
  command->add_flag("--dry-run", request->dry_run,
                    "Check everything, show the table, train nothing");
  auto* finds = command->add_flag("--find-lr", *find_lr,
                                  "Train nothing but a learning-rate range test, which suggests an "
                                  "optimizer.lr; writes find-lr.csv, .json and .svg");
  command->add_option("--lr-min", range->low, "The lowest rate that --find-lr tries")
      ->needs(finds)
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--lr-max", range->high, "The highest")
      ->needs(finds)
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--lr-steps", range->steps, "Its steps, at most")
      ->needs(finds)
      ->check(CLI::Range(2, 100'000))
      ->capture_default_str();
  command->footer(
      "Example: xception train --config configs/xception.json --data data --out runs/a "
      "train.epochs=3 seed=1");
  command->callback([request, range, find_lr, &invocation] {
    request->command_line = invocation.command_line;
    if (*find_lr) {
      invocation.exit_code = find_learning_rate(*request, *range);
      return;
    }
    invocation.exit_code = start_training(*request);
  });
}

}  // namespace xception
