#include "xception/train/load_run.h"

#include "xception/models/registry.h"
#include "xception/train/checkpoint.h"
#include "xception/train/experiment.h"

namespace xception {

LoadedRun load_run(const std::filesystem::path& run, const std::string& checkpoint,
                   const torch::Device& device) {
  const RunDirectory directory(run);
  LoadedRun loaded;
  loaded.config = directory.read_config();
  resolve_model(loaded.config);
  apply_runtime_settings(loaded.config);
  loaded.model = build_model(loaded.config.model);
  const auto precision = parse_precision(loaded.config.train.precision);
  // Before this process opens a GPU, which may take one only.
  loaded.kernels = plan_evaluation(loaded.config, device).kernels;
  place_model(*loaded.model, device, precision.parameters, loaded.config.train.channels_last);
  use_kernels(*loaded.model, loaded.kernels);
  loaded.place = load_checkpoint_model(directory, checkpoint, *loaded.model);
  loaded.model->eval();
  return loaded;
}

}  // namespace xception
