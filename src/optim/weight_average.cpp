#include "xception/optim/weight_average.h"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sub.h>

#include <functional>
#include <utility>

#include "xception/core/error.h"

namespace xception {

WeightAverage::WeightAverage(const NamedParameters& parameters, const NamedParameters& statistics,
                             bool average_statistics) {
  const torch::NoGradGuard no_grad;
  for (const auto* list : {&parameters, &statistics}) {
    for (const auto& [name, tensor] : *list) {
      names_.push_back(name);
      network_.push_back(tensor);
      stored_.push_back(tensor.detach().clone());
      if (list == &statistics && !average_statistics) continue;
      averaged_trained_.push_back(network_.back());
      averaged_.push_back(stored_.back());
    }
  }
}

void WeightAverage::restart() {
  const torch::NoGradGuard no_grad;
  at::_foreach_copy_(stored_, network_);
}

void WeightAverage::put_in(bool averages) {
  if (averages == in_place_ || !is_ready()) return;
  const torch::NoGradGuard no_grad;
  // In place: a recorded step reads and writes these very tensors.
  std::vector<torch::Tensor> before;
  for (const auto& tensor : network_) before.push_back(tensor.clone());
  at::_foreach_copy_(network_, stored_);
  at::_foreach_copy_(stored_, before);
  in_place_ = averages;
}

State WeightAverage::state() const {
  State state;
  add_state(state);
  if (!is_ready()) return state;
  const std::string prefix = in_place_ ? "trained." : "average.";
  for (std::size_t i = 0; i < names_.size(); ++i) state.tensors[prefix + names_[i]] = stored_[i];
  return state;
}

void WeightAverage::load_state(const State& state) {
  load_own_state(state);
  if (!is_ready()) return;
  in_place_ = names_.empty() || state.tensors.contains("trained." + names_.front());
  const std::string prefix = in_place_ ? "trained." : "average.";
  for (std::size_t i = 0; i < names_.size(); ++i) {
    restore_tensor(state, prefix + names_[i], stored_[i]);
  }
}

namespace {

struct EmaOptions {
  double decay = 0.9999;
  bool warmup = false;

  std::vector<Key> keys() {
    return {{"decay", &decay, below(0, 1), "part of the average that a step leaves"},
            {"decay_warmup",
             &warmup,
             {},
             "the decay of step t, from 0, is at most (1 + t) / (10 + t)"}};
  }
};

/// An exponential moving average, `average = decay * average + (1 - decay) * weights` after each
/// step, from the initial weights on, as timm.utils.ModelEmaV3 has it; with decay_warmup as
/// tf.train.ExponentialMovingAverage(num_updates).
class Ema : public WeightAverage {
 public:
  Ema(const AverageConfig& config, const NamedParameters& parameters,
      const NamedParameters& statistics, bool average_statistics)
      : WeightAverage(parameters, statistics, average_statistics),
        options_(config.own<EmaOptions>()) {
    auto options = torch::TensorOptions().dtype(torch::kInt64);
    if (!parameters.empty()) options = options.device(parameters.front().second.device());
    steps_ = torch::zeros({}, options);
  }

  void after_step() override {
    if (averages().empty()) return;
    const torch::NoGradGuard no_grad;
    if (!options_.warmup) {
      at::_foreach_lerp_(averages(), trained(), 1.0 - options_.decay);
    } else {
      const auto step = steps_.to(averages().front().scalar_type());
      const auto weight = 1.0 - ((step + 1.0) / (step + 10.0)).clamp_max(options_.decay);
      const auto change = at::_foreach_sub(trained(), averages());
      at::_foreach_mul_(change, weight);
      at::_foreach_add_(averages(), change);
    }
    steps_.add_(1);
  }

 protected:
  void add_state(State& state) const override { state.tensors["steps"] = steps_; }
  void load_own_state(const State& state) override { restore_tensor(state, "steps", steps_); }

 private:
  EmaOptions options_;
  torch::Tensor steps_;  ///< int64 scalar
};

struct SwaOptions {
  std::int64_t start_epoch = 1;

  std::vector<Key> keys() {
    return {{"start_epoch", &start_epoch, between(1, 1e6),
             "the first epoch, counted from 1, whose weights at its end are in the mean"}};
  }
};

/// Stochastic weight averaging (Izmailov et al., arXiv 1803.05407): the mean of the weights at the
/// ends of epochs, as torch.optim.swa_utils.AveragedModel with use_buffers has it.
class Swa : public WeightAverage {
 public:
  Swa(const AverageConfig& config, const NamedParameters& parameters,
      const NamedParameters& statistics, bool average_statistics)
      : WeightAverage(parameters, statistics, average_statistics),
        start_epoch_(config.own<SwaOptions>().start_epoch) {}

  void after_epoch(std::int64_t epoch) override {
    if (epoch < start_epoch_ || epoch <= last_epoch_) return;
    last_epoch_ = epoch;
    ++models_;
    if (models_ == 1) {
      restart();
    } else {
      const torch::NoGradGuard no_grad;
      at::_foreach_lerp_(averages(), trained(), 1.0 / static_cast<double>(models_));
    }
  }

  [[nodiscard]] bool is_ready() const override { return models_ > 0; }

 protected:
  void add_state(State& state) const override {
    state.values = {{"models", models_}, {"last_epoch", last_epoch_}};
  }
  void load_own_state(const State& state) override {
    models_ = state.values.at("models").get<std::int64_t>();
    last_epoch_ = state.values.at("last_epoch").get<std::int64_t>();
  }

 private:
  std::int64_t start_epoch_;
  std::int64_t models_ = 0;      ///< in the mean
  std::int64_t last_epoch_ = 0;  ///< that is in it
};

/// An average as the program knows it. A new one is a class, its options and a line in the table.
struct AverageEntry {
  std::string name;
  std::function<std::vector<Key>(AverageConfig&)> keys;  ///< its own of `average.*`
  std::function<std::unique_ptr<WeightAverage>(const AverageConfig&, const NamedParameters&,
                                               const NamedParameters&, bool average_statistics)>
      build;
  std::function<std::string(const AverageConfig&)> describe;
};

template <class Average>
std::unique_ptr<WeightAverage> build(const AverageConfig& config, const NamedParameters& parameters,
                                     const NamedParameters& statistics, bool average_statistics) {
  return std::make_unique<Average>(config, parameters, statistics, average_statistics);
}

std::string describe_ema(const AverageConfig& config) {
  const auto options = config.own<EmaOptions>();
  return fmt::format("decay {}{}", options.decay, options.warmup ? " with warm-up" : "");
}

std::string describe_swa(const AverageConfig& config) {
  return fmt::format("from epoch {} on", config.own<SwaOptions>().start_epoch);
}

const std::vector<AverageEntry>& average_table() {
  static const std::vector<AverageEntry> table = {
      {"ema", own_keys<EmaOptions>, build<Ema>, describe_ema},
      {"swa", own_keys<SwaOptions>, build<Swa>, describe_swa},
  };
  return table;
}

const AverageEntry* find_average(const std::string& name) {
  for (const auto& entry : average_table()) {
    if (entry.name == name) return &entry;
  }
  if (name == "none") return nullptr;
  throw input_error("config", "average.name: unknown {}", name);
}

}  // namespace

std::vector<Key> AverageConfig::keys() {
  Choices names = {"none"};
  for (const auto& entry : average_table()) names.push_back(entry.name);
  std::vector<Key> keys = {
      {"name", &name, std::move(names),
       "average of the weights that is evaluated, saved and exported in their place"}};
  for (const auto& entry : average_table()) add_keys(keys, entry.name, entry.keys(*this));
  for (const auto& entry : average_table()) {
    add_keys(keys, entry.name,
             {{"batch_norm", &batch_norm, Choices{"average", "recompute"},
               "the average's BatchNorm statistics: averaged as the weights are, or computed anew "
               "at each epoch's end"},
              {"batch_norm_images", &batch_norm_images, between(2, 1e9),
               "first training images, augmented, over which they are recomputed"}});
  }
  return newer(std::move(keys));
}

void check_average(const AverageConfig& config, std::int64_t epochs) {
  if (find_average(config.name) == nullptr || config.name != "swa") return;
  const auto start = config.own<SwaOptions>().start_epoch;
  if (start <= epochs) return;
  throw input_error("config",
                    "average.start_epoch: found {}, but train.epochs is {}, so that there would be "
                    "no average; expected at most that",
                    start, epochs);
}

std::string describe_average(const AverageConfig& config) {
  const auto* entry = find_average(config.name);
  if (entry == nullptr) return "";
  return fmt::format("{}, {}, BatchNorm {}", config.name, entry->describe(config),
                     config.batch_norm == "average"
                         ? "averaged"
                         : fmt::format("recomputed over {} images", config.batch_norm_images));
}

std::unique_ptr<WeightAverage> build_average(const AverageConfig& config,
                                             const NamedParameters& parameters,
                                             const NamedParameters& statistics) {
  const auto* entry = find_average(config.name);
  return entry == nullptr
             ? nullptr
             : entry->build(config, parameters, statistics, config.batch_norm == "average");
}

}  // namespace xception
