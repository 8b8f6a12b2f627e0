#include "xception/models/freeze.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "xception/config/keys.h"
#include "xception/core/error.h"
#include "xception/core/name_pattern.h"
#include "xception/models/batch_norm.h"

namespace xception {
namespace {

/// The modules right below the network.
std::vector<std::string> part_names(const Classifier& network) {
  std::vector<std::string> names;
  for (const auto& child : network.named_children()) names.push_back(child.key());
  return names;
}

void check_means_something(const Classifier& network, const std::string& pattern) {
  for (const auto& item : network.named_parameters()) {
    if (means_name(pattern, item.key())) return;
  }
  const auto parts = part_names(network);
  const auto near = nearest_name(pattern, parts);
  throw input_error("config",
                    "train.freeze: found \"{}\", which is the name of no parameter; expected names "
                    "or patterns such as \"{}\" or \"*.bn*\"; the parts are {}",
                    pattern, near.empty() ? parts.front() : near, fmt::join(parts, ", "));
}

}  // namespace

std::int64_t freeze(Classifier& network, const std::vector<std::string>& patterns) {
  if (patterns.empty()) return 0;
  for (const auto& pattern : patterns) check_means_something(network, pattern);
  std::int64_t frozen = 0;
  bool any_left = false;
  for (auto& item : network.named_parameters()) {
    const bool meant =
        std::any_of(patterns.begin(), patterns.end(),
                    [&](const std::string& pattern) { return means_name(pattern, item.key()); });
    if (meant) {
      item.value().set_requires_grad(false);
      frozen += item.value().numel();
    }
    any_left = any_left || item.value().requires_grad();
  }
  if (!any_left) {
    throw input_error("config", "train.freeze: found {}, which leaves no parameter to train",
                      nlohmann::json(patterns).dump());
  }
  for (const auto& module : network.modules(/*include_self=*/false)) {
    auto* norm = module->as<BatchNorm2dImpl>();
    if (norm != nullptr && !norm->weight.requires_grad() && !norm->bias.requires_grad()) {
      norm->freeze();
    }
  }
  return frozen;
}

void freeze_batch_norms(Classifier& network) {
  for (const auto& module : network.modules(/*include_self=*/false)) {
    if (auto* norm = module->as<BatchNorm2dImpl>()) norm->freeze();
  }
}

}  // namespace xception
