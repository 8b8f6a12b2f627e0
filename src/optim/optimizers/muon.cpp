#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/addmm.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "foreach.h"
#include "groups.h"
#include "xception/core/name_pattern.h"

namespace xception {

OptimizerEntry adamw_entry();

namespace {

struct MuonOptions {
  double momentum = 0.95;
  std::int64_t steps = 5;
  std::string scale = "match_rms_adamw";
  std::string precision = "auto";
  std::optional<double> adamw_lr;
  std::vector<std::string> exclude = {"fc", "*.fc", "head", "classifier"};

  std::vector<Key> keys() {
    return newer(
        {{"muon_momentum", &momentum, below(0, 1), "Nesterov's momentum"},
         {"muon_steps", &steps, between(1, 99), "iterations of Newton and Schulz"},
         {"muon_scale", &scale, Choices{"match_rms_adamw", "original"},
          "a step of a matrix (rows, columns) is multiplied by 0.2 * sqrt(max(rows, columns)), so "
          "that adamw's learning rates fit; or by sqrt(max(1, rows / columns)), which wants an lr "
          "of about 0.02"},
         {"muon_precision", &precision, Choices{"auto", "fp32", "bf16"},
          "of the iterations; auto: bf16 on a GPU, the weights' own on a CPU"},
         {"adamw_lr", &adamw_lr, above(0),
          "learning rate of what muon leaves to adamw: parameters of one dimension, depthwise "
          "filters and muon_exclude; it follows the schedule as optimizer.lr does; null: "
          "optimizer.lr"},
         {"muon_exclude",
          &exclude,
          {},
          "names or patterns of matrices and filters that are left to adamw: the classifier's "
          "head"}});
  }
};

/// Whether Muon takes a parameter: a matrix (out, in), or a convolution's filters (out, in, height,
/// width) of more than one input channel, that isn't excluded.
bool is_matrix(const std::string& name, const torch::Tensor& parameter,
               const MuonOptions& options) {
  if (parameter.dim() < 2 || (parameter.dim() > 2 && parameter.size(1) == 1)) return false;
  return std::none_of(options.exclude.begin(), options.exclude.end(),
                      [&](const auto& pattern) { return means_name(pattern, name); });
}

/// The nearest semi-orthogonal matrix to g, roughly: its singular values come near 1. A quintic
/// iteration whose coefficients Keller Jordan chose (https://kellerjordan.github.io/posts/muon/).
/// g: (rows, columns), of the dtype to compute in; overwritten.
torch::Tensor orthogonalize(torch::Tensor g, std::int64_t steps) {
  constexpr double kA = 3.4445;
  constexpr double kB = -4.7750;
  constexpr double kC = 2.0315;
  constexpr double kSmallest = 1e-7;  // of the norm
  const bool tall = g.size(0) > g.size(1);
  if (tall) g = g.t();
  g.div_(g.norm().clamp_min(kSmallest));
  for (std::int64_t i = 0; i < steps; ++i) {
    const auto gram = g.mm(g.t());
    const auto polynomial = at::addmm(gram, gram, gram, /*beta=*/kB, /*alpha=*/kC);
    g = at::addmm(g, polynomial, g, /*beta=*/kA);
  }
  return tall ? g.t() : g;
}

/// Muon (Jordan et al. 2024), equal to torch.optim.Muon and, for filters, which are flattened to
/// (out, in * height * width), to timm.optim.Muon: Nesterov's momentum, orthogonalized, with
/// decoupled weight decay. All parameters are matrices or filters.
class Muon : public ForeachOptimizer {
 public:
  Muon(const OptimizerConfig& config, const NamedParameters& parameters)
      : ForeachOptimizer(parameters, {"momentum"}),
        options_(config.own<MuonOptions>()),
        weight_decay_(config.weight_decay) {}

 private:
  void update(const Lists& lists, const torch::Tensor& lr) override {
    at::_foreach_lerp_(lists.first, lists.gradients, 1.0 - options_.momentum);
    const auto steps = at::_foreach_lerp(lists.gradients, lists.first, options_.momentum);
    if (weight_decay_ != 0.0) at::_foreach_mul_(lists.parameters, 1.0 - lr * weight_decay_);
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const auto& step = steps[i];
      const auto rows = step.size(0);
      const auto columns = step.numel() / rows;
      const bool narrow =
          options_.precision == "bf16" || (options_.precision == "auto" && step.device().is_cuda());
      const auto matrix = step.reshape({rows, columns})
                              .to(narrow ? torch::kBFloat16 : step.scalar_type(),
                                  /*non_blocking=*/false, /*copy=*/true);
      const auto direction = orthogonalize(matrix, options_.steps);
      lists.parameters[i].sub_(direction.reshape(step.sizes()).to(step.scalar_type()) *
                               (lr * scale(rows, columns)));
    }
  }

  [[nodiscard]] double scale(std::int64_t rows, std::int64_t columns) const {
    const auto high = static_cast<double>(rows);
    const auto wide = static_cast<double>(columns);
    return options_.scale == "original" ? std::sqrt(std::max(1.0, high / wide))
                                        : 0.2 * std::sqrt(std::max(high, wide));
  }

  MuonOptions options_;
  double weight_decay_;
};

/// Muon for what it is made for, AdamW for the rest.
std::unique_ptr<Optimizer> build_muon(const OptimizerConfig& config,
                                      const NamedParameters& parameters) {
  const auto options = config.own<MuonOptions>();
  std::vector<Group> groups(2);
  std::vector<NamedParameters> members(2);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const auto& [name, parameter] = parameters[i];
    const std::size_t part = is_matrix(name, parameter, options) ? 0 : 1;
    groups[part].members.push_back(i);
    members[part].push_back(parameters[i]);
  }
  groups[1].lr_factor = options.adamw_lr.value_or(config.lr) / config.lr;
  groups[0].optimizer = std::make_unique<Muon>(config, members[0]);
  groups[1].optimizer = adamw_entry().build(config, members[1]);
  std::erase_if(groups, [](const Group& group) { return group.members.empty(); });
  return join_groups(std::move(groups));
}

void check_muon(const OptimizerConfig& config) {
  check_decoupled_decay(config, "optimizer.lr", config.lr);
  if (const auto lr = config.own<MuonOptions>().adamw_lr) {
    check_decoupled_decay(config, "optimizer.adamw_lr", *lr);
  }
}

std::vector<Key> muon_keys(OptimizerConfig& config) {
  auto keys = adamw_entry().keys(config);
  for (auto& key : config.own<MuonOptions>().keys()) keys.push_back(std::move(key));
  return keys;
}

}  // namespace

OptimizerEntry muon_entry() {
  return {.name = "muon", .keys = muon_keys, .build = build_muon, .check = check_muon};
}

}  // namespace xception
