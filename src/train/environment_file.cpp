#include "environment_file.h"

#include <string>

#include "xception/core/json.h"
#include "xception/core/log.h"
#include "xception/data/cifar10.h"
#include "xception/train/environment.h"

namespace xception {

void write_environment(const RunDirectory& directory, const TrainRequest& request,
                       const Experiment& experiment, const std::vector<RankReport>& ranks,
                       const RankInfo& place, bool goes_on) {
  auto environment = describe_environment();
  environment["device"] = experiment.device().str();
  if (!experiment.dataset().original) environment["data_label"] = cifar10::kOtherLabel;
  environment["execution"] = to_json(experiment.execution());
  environment["launcher"] = launcher_name(place.launcher);
  environment["world_size"] = ranks.size();
  for (const auto& rank : ranks) {
    environment["ranks"].push_back({{"host", rank.host}, {"device", rank.device}});
  }
  environment["command_line"] = request.command_line;
  if (!goes_on || !std::filesystem::exists(directory.environment())) {
    write_json(directory.environment(), environment);
    return;
  }
  auto first = nlohmann::ordered_json(read_json(directory.environment(), "train"));
  const auto before = first.contains("resumed") ? first["resumed"].back() : first;
  const auto kernels = "/execution/kernels"_json_pointer;
  if (before.contains(kernels) && before.at(kernels) != environment.at(kernels)) {
    spdlog::info("resume: kernels are {}, were {}: the result may differ in the last bits",
                 environment.at(kernels).dump(), before.at(kernels).dump());
  }
  for (const auto* key : {"world_size", "threads", "libtorch", "device", "processor"}) {
    if (!before.contains(key) || before[key] == environment[key]) continue;
    if (key == std::string("world_size") && experiment.config().parallel.batch_norm == "rank0") {
      spdlog::info(
          "resume: {} is {}, was {}: same order and steps, but each rank normalizes other "
          "parts of a batch (parallel.batch_norm)",
          key, environment[key].dump(), before[key].dump());
      continue;
    }
    spdlog::info("resume: {} is {}, was {}: the result may differ in the last bits", key,
                 environment[key].dump(), before[key].dump());
  }
  first["resumed"].push_back(environment);
  write_json(directory.environment(), first);
}

}  // namespace xception
