#include "groups.h"

#include <utility>

#include "xception/core/error.h"
#include "xception/core/name_pattern.h"

namespace xception {
namespace {

/// One element of optimizer.groups.
struct GroupOptions {
  std::string name;
  double lr_factor = 1.0;
  std::optional<double> weight_decay;

  std::vector<Key> keys() {
    return {{"name", &name, {}, "pattern of the parameters' names"},
            {"lr_factor", &lr_factor, at_least(0), "of optimizer.lr"},
            {"weight_decay", &weight_decay, at_least(0), "in place of optimizer.weight_decay"}};
  }
};

std::vector<GroupOptions> read_groups(const OptimizerConfig& config) {
  std::vector<GroupOptions> groups;
  std::set<std::string> given;
  for (std::size_t i = 0; i < config.groups.size(); ++i) {
    read_keys(config.groups[i], "optimizer.groups", fmt::format("{}", i),
              groups.emplace_back().keys(), given);
  }
  return groups;
}

class Groups : public Optimizer {
 public:
  explicit Groups(std::vector<Group> groups) : groups_(std::move(groups)) {}

  void step(const torch::Tensor& lr, const torch::Tensor& found_inf,
            const torch::Tensor& inverse_scale) override {
    for (const auto& group : groups_) {
      group.optimizer->step(group.lr_factor == 1.0 ? lr : lr * group.lr_factor, found_inf,
                            inverse_scale);
    }
  }

  void use_copies(std::vector<torch::Tensor> copies) override {
    for (const auto& group : groups_) {
      std::vector<torch::Tensor> own;
      for (const auto member : group.members) own.push_back(copies[member]);
      group.optimizer->use_copies(std::move(own));
    }
  }

  // Tensors are stored by parameter, and the count of steps, which all have alike, once: the
  // state's names are those of a single optimizer.
  State state() const override {
    State all;
    for (const auto& group : groups_) all.tensors.merge(group.optimizer->state().tensors);
    return all;
  }

  void load_state(const State& state) override {
    for (const auto& group : groups_) group.optimizer->load_state(state);
  }

 private:
  std::vector<Group> groups_;
};

/// What timm's filter_bias_and_bn leaves without weight decay.
bool is_norm_or_bias(const std::string& name, const torch::Tensor& parameter) {
  return parameter.dim() <= 1 || name.ends_with(".bias");
}

/// The optimizers of a group's parameters: one, or two where some have no weight decay.
void add_group(std::vector<Group>& groups, const OptimizerEntry& entry,
               const OptimizerConfig& config, const NamedParameters& parameters, Group group) {
  const bool divided = !config.decay_norm_and_bias && config.weight_decay > 0.0;
  for (const bool decays : {true, false}) {
    auto own = config;
    if (!decays) own.weight_decay = 0.0;
    Group part;
    part.lr_factor = group.lr_factor;
    NamedParameters members;
    for (const auto member : group.members) {
      const auto& [name, parameter] = parameters[member];
      if ((divided && is_norm_or_bias(name, parameter)) == decays) continue;
      part.members.push_back(member);
      members.push_back(parameters[member]);
    }
    if (members.empty()) continue;
    part.optimizer = entry.build(own, members);
    groups.push_back(std::move(part));
  }
}

}  // namespace

std::unique_ptr<Optimizer> join_groups(std::vector<Group> groups) {
  return std::make_unique<Groups>(std::move(groups));
}

void check_groups(const OptimizerConfig& config) {
  for (const auto& group : read_groups(config)) {
    if (group.name.empty()) {
      throw input_error("config", "optimizer.groups: found an empty name; expected a pattern");
    }
  }
}

std::unique_ptr<Optimizer> build_groups(const OptimizerEntry& entry, const OptimizerConfig& config,
                                        const NamedParameters& parameters) {
  const auto options = read_groups(config);
  // The last one has what no pattern means.
  std::vector<Group> groups(options.size() + 1);
  std::vector<Group> built;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    std::size_t g = 0;
    while (g < options.size() && !means_name(options[g].name, parameters[i].first)) ++g;
    groups[g].members.push_back(i);
  }
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const bool rest = g == options.size();
    if (!rest && groups[g].members.empty()) {
      throw input_error("config",
                        "optimizer.groups: found the name \"{}\", which means no trained parameter "
                        "that an earlier group leaves; expected a name or pattern such as "
                        "\"fc\" or \"*.bn*\"",
                        options[g].name);
    }
    auto own = config;
    if (!rest) {
      groups[g].lr_factor = options[g].lr_factor;
      own.weight_decay = options[g].weight_decay.value_or(config.weight_decay);
      own.lr = config.lr * options[g].lr_factor;
      if (entry.check && own.lr > 0) entry.check(own);
      own.lr = config.lr;  // the group's factor comes with each step
    }
    add_group(built, entry, own, parameters, std::move(groups[g]));
  }
  return join_groups(std::move(built));
}

}  // namespace xception
