#include "start_table.h"

#include <fmt/ranges.h>

#include "xception/core/error.h"
#include "xception/core/format.h"
#include "xception/core/log.h"
#include "xception/models/registry.h"
#include "xception/parallel/device.h"
#include "xception/train/environment.h"

namespace xception {
namespace {

void row(const std::string& name, const std::string& text) {
  spdlog::info("  {:<10} {}", name, text);
}

std::string transform_names(const nlohmann::json& list) {
  std::vector<std::string> names;
  for (const auto& transform : list) {
    std::string name = transform.at("name");
    for (const auto& [key, value] : transform.items()) {
      if (key != "name") name += fmt::format(" {}={}", key, value.dump());
    }
    names.push_back(std::move(name));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string aux_row(const ModelConfig& model, const ModelEntry& entry, std::int64_t image_size) {
  if (*model.aux_weight > 0) return fmt::format("auxiliary loss: weight {}", *model.aux_weight);
  return fmt::format("auxiliary loss: none, the heads are built, not run, no gradient ({})",
                     image_size < entry.aux_min_image_size
                         ? fmt::format("below {} px", entry.aux_min_image_size)
                         : "model.aux_weight is 0");
}

/// `cuda:1, cuda:2 idle: --device all trains on every GPU`
std::string idle_row() {
  std::vector<std::string> idle;
  for (std::int64_t i = 1; i < cuda_device_count(); ++i) idle.push_back(fmt::format("cuda:{}", i));
  return fmt::format("{} idle: --device all trains on every GPU", fmt::join(idle, ", "));
}

/// `2 ranks, 64 images each, BatchNorm rank0: cpu, cpu on host`
std::string rank_row(const std::vector<RankReport>& ranks, const RunConfig& config) {
  std::vector<std::string> hosts;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    if (i > 0 && ranks[i].host == ranks[i - 1].host) {
      hosts.back() += ", " + ranks[i].device;
    } else {
      hosts.push_back(ranks[i].host + ": " + ranks[i].device);
    }
  }
  const auto size = static_cast<std::int64_t>(ranks.size());
  return fmt::format("{}, {} images each, BatchNorm {}; {}", size, config.train.batch_size / size,
                     config.parallel.batch_norm, fmt::join(hosts, "; "));
}

/// `adam, lr 0.001, weight decay 0, constant schedule, batch 64, 2 epochs x 22 steps`; with a batch
/// that grows `batch 64, 128, 256, 5 epochs, 60 steps`
std::string optimizer_row(const RunConfig& config, const Trainer& trainer) {
  const auto& train = config.train;
  const auto sizes = batch_sizes(train);
  const bool grows = sizes.size() > 1;
  return fmt::format("{}, lr {}, weight decay {}, {} schedule, batch {}{}{}, {} epochs{}",
                     config.optimizer.name, config.optimizer.lr, config.optimizer.weight_decay,
                     config.schedule.name, fmt::join(sizes, ", "),
                     train.accumulate > 1 ? fmt::format(" in {} parts", train.accumulate) : "",
                     config.optimizer.clip_norm > 0
                         ? fmt::format(", clipped to {}", config.optimizer.clip_norm)
                         : "",
                     train.epochs,
                     grows ? fmt::format(", {} steps", trainer.steps_of_all_epochs())
                           : fmt::format(" x {} steps", trainer.steps_per_epoch()));
}

/// What the user may not have meant.
void show_notices(const RunConfig& config, std::int64_t images, const Trainer& trainer) {
  const auto& train = config.train;
  for (const auto& sentence : config.notices) row("notice", sentence);
  for (const auto& sentence : unread_keys(config)) row("notice", sentence);
  if (const auto largest = batch_sizes(train).back(); largest > images) {
    row("notice",
        fmt::format("{} {} is more than the {} training images: an epoch is one step of these",
                    largest == train.batch_size ? "train.batch_size" : "a batch size of", largest,
                    images));
  }
  if (const auto steps = trainer.steps_of_all_epochs(); train.checkpoint_interval > steps) {
    row("notice", fmt::format("train.checkpoint_interval {} is more than the {} steps of all "
                              "epochs: saved is at the end of each",
                              train.checkpoint_interval, steps));
  }
  if (!trainer.dropped_notice().empty()) {
    row("notice", "each epoch drops " + trainer.dropped_notice());
  }
}

}  // namespace

void show_start(const TrainRequest& request, const Experiment& experiment,
                const RunDirectory& directory, Trainer& trainer,
                const std::vector<RankReport>& ranks) {
  const auto& config = experiment.config();
  const auto& train = config.train;
  const auto& dataset = experiment.dataset();
  const auto& splits = experiment.splits();
  const auto& entry = find_model(config.model.name);
  const auto& cost = trainer.summary().complexity();
  const auto info = describe_device(experiment.device());
  row("run", directory.root().string());
  row("config",
      fmt::format(
          "{}{}", request.config_file ? request.config_file->string() : "defaults",
          request.overrides.empty() ? "" : fmt::format(", {}", fmt::join(request.overrides, " "))));
  row("model", fmt::format("{} ({}), {} classes, {:.2f} M parameters, {:.3f} G multiply-adds at {} "
                           "px",
                           config.model.name, config.model.variant, config.model.num_classes,
                           static_cast<double>(cost.parameters) * 1e-6,
                           static_cast<double>(cost.multiply_adds) * 1e-9, config.data.image_size));
  if (entry.aux_min_image_size > 0 && config.model.aux_logits) {
    row("", aux_row(config.model, entry, config.data.image_size));
  }
  row("data", fmt::format("{}: {} train, {} validation, {} test  ({}, {})", dataset.name,
                          splits.train.size(), splits.validation.size(), splits.test.size(),
                          dataset.folder.string(), dataset.checksum.substr(0, 12)));
  row("augment", transform_names(config.augment.train));
  if (const auto mix = describe_mix(config.mix); !mix.empty()) row("mix", mix);
  if (const auto& sizes = config.data; sizes.progressive_size > 0) {
    row("", fmt::format("training images of {} px, growing to {} px from epoch {} to {}",
                        sizes.progressive_size, sizes.image_size, sizes.progressive_start + 1,
                        sizes.progressive_end + 1));
  }
  row("optimizer", optimizer_row(config, trainer));
  if (const auto average = describe_average(config.average); !average.empty()) {
    row("average", average);
  }
  row("precision", fmt::format("{}, evaluation {}{}{}", train.precision,
                               train.precision == "fp64" ? "fp64" : train.eval_precision,
                               train.channels_last ? ", channels_last" : "",
                               train.deterministic ? ", deterministic" : ""));
  row("device", fmt::format("{}: {}, {} memory", info.device.str(), info.name,
                            format_bytes(info.memory_bytes)));
  if (ranks.size() > 1) {
    row("ranks", rank_row(ranks, config));
  } else if (parse_device_choice(request.device).kind == DeviceChoice::Kind::automatic &&
             cuda_device_count() > 1) {
    row("", idle_row());
  }
  row("libraries", library_line());
  row("seed", std::to_string(config.seed));
  show_notices(config, std::ssize(splits.train), trainer);
}

}  // namespace xception
