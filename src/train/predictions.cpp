#include "xception/train/predictions.h"

#include "xception/core/safetensors.h"

namespace xception {

void save_predictions(const std::filesystem::path& file, const Evaluation& evaluation) {
  save_safetensors(file, {{"index", evaluation.indices},
                          {"label", evaluation.labels},
                          {"probabilities", evaluation.probabilities}});
}

}  // namespace xception
