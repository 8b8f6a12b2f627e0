#include "model_choice.h"

#include "xception/core/error.h"
#include "xception/train/views.h"

namespace xception {

void ModelChoice::add_options(CLI::App& command) {
  command.add_option("--run", run, "Run directory");
  command.add_option("--checkpoint", checkpoint, "best or last, with --run")
      ->check(CLI::IsMember({"best", "last"}))
      ->capture_default_str();
  command.add_option("--weights", weights, "Or a file of weights: safetensors, PyTorch, Keras");
  command.add_option("--set", settings,
                     "key=value of the config, with --weights: what the file doesn't say");
}

LoadedRun ModelChoice::load(const std::string& room, const torch::Device& device) const {
  if (run.empty() == weights.empty()) {
    throw input_error(room, "expected either --run DIR or --weights FILE");
  }
  return run.empty() ? load_weights(weights, settings, device) : load_run(run, checkpoint, device);
}

void add_tta_option(CLI::App& command, std::string& choice) {
  command
      .add_option("--tta", choice,
                  "Test-time augmentation: the mean of the probabilities over views of a picture, "
                  "beside those of the picture alone. flip: 2 views, mirrored or not; flip+crops: "
                  "10, moved into the corners too; multi-scale: 6, at 7/8 and 9/8 of its size too")
      ->check(CLI::IsMember(view_choices()))
      ->capture_default_str();
}

}  // namespace xception
