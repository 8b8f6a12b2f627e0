#include "xception/weights/fit.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/isfinite.h>
#include <c10/core/ScalarType.h>

#include <algorithm>
#include <set>
#include <utility>

#include "names.h"
#include "xception/core/error.h"
#include "xception/core/readable.h"
#include "xception/weights/recognize.h"

namespace xception {
namespace {

/// In an error's line.
constexpr std::size_t kNamedTensors = 3;

/// `fc.weight, fc.bias and 7 more`.
std::string first_few(const std::vector<std::string>& all) {
  const auto shown = std::min(all.size(), kNamedTensors);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < shown; ++i) names.push_back(readable(all[i]));
  auto text = fmt::format("{}", fmt::join(names, ", "));
  if (all.size() > shown) text += fmt::format(" and {} more", all.size() - shown);
  return text;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  return fmt::format("({})", fmt::join(shape, ", "));
}

/// The final layers, by the names of all models here.
bool is_head(const std::string& name) {
  static const std::set<std::string> kLayers = {"fc", "AuxLogits.fc", "aux1.fc2", "aux2.fc2",
                                                "classifier.6"};
  return kLayers.contains(name.substr(0, name.rfind('.')));
}

bool is_auxiliary(const std::string& name) {
  return name.starts_with("AuxLogits.") || name.starts_with("aux1.") || name.starts_with("aux2.");
}

bool is_counter(const std::string& name) {
  return name.ends_with(".num_batches_tracked");
}

/// A model's parameters and buffers by name; the tensors are the model's own.
TensorMap tensors_of(const Classifier& model) {
  TensorMap tensors;
  for (const auto& item : model.named_parameters()) tensors.emplace(item.key(), item.value());
  for (const auto& item : model.named_buffers()) tensors.emplace(item.key(), item.value());
  return tensors;
}

/// Whether shapes differ in the number of classes alone.
bool other_classes(const FitReport::OtherSize& size) {
  if (!is_head(size.name) || size.found.size() != size.expected.size() || size.found.empty()) {
    return false;
  }
  return std::equal(size.found.begin() + 1, size.found.end(), size.expected.begin() + 1);
}

/// Throws where the report isn't what the options allow.
void check(const FitReport& report, const WeightFile& weights, const FitOptions& options) {
  const auto where = weights.file.string();
  for (const auto& size : report.other_size) {
    if (other_classes(size)) {
      if (options.replace_head) continue;
      throw input_error("weights",
                        "{}: is of {} classes ({} {}), the model of {}: set model.num_classes={}, "
                        "or let the final layer start afresh",
                        where, size.found[0], size.name, shape_text(size.found), size.expected[0],
                        size.found[0]);
    }
    throw input_error("weights",
                      "{}: tensor {} is {}, the model's {}: these are another network's weights, "
                      "or of other options; see `xception weights info`",
                      where, size.name, shape_text(size.found), shape_text(size.expected));
  }
  std::vector<std::string> missing = report.missing;
  const bool no_aux = std::none_of(report.matched.begin(), report.matched.end(), is_auxiliary);
  std::erase_if(missing, [&](const auto& name) {
    return is_counter(name) || (no_aux && is_auxiliary(name));
  });
  if (!missing.empty()) {
    throw input_error("weights",
                      "{}: has {} of the model's {} tensors, not {}: these are another network's "
                      "weights, or of other options; see `xception weights info`",
                      where, report.matched.size(),
                      report.matched.size() + report.missing.size() + report.other_size.size(),
                      first_few(missing));
  }
  std::vector<std::string> unexpected = report.unexpected;
  std::erase_if(unexpected, [&](const auto& name) { return no_aux && is_auxiliary(name); });
  if (!unexpected.empty()) {
    throw input_error("weights",
                      "{}: has {} tensors that the model doesn't have, {}: these are another "
                      "network's weights, or of other options; see `xception weights info`",
                      where, unexpected.size(), first_few(unexpected));
  }
}

}  // namespace

std::string FitReport::summary() const {
  auto text = fmt::format("{} tensors ({})", matched.size(), source);
  std::vector<std::string> fresh;
  for (const auto& size : other_size) fresh.push_back(size.name);
  for (const auto& name : missing) {
    if (!is_counter(name)) fresh.push_back(name);
  }
  if (!fresh.empty()) text += fmt::format("; fresh: {}", first_few(fresh));
  if (!unexpected.empty()) text += fmt::format("; not read: {}", first_few(unexpected));
  return text;
}

namespace {

/// What is to be copied where.
struct Plan {
  FitReport report;
  std::vector<std::pair<at::Tensor, at::Tensor>> copies;  ///< to, from
};

NamedTensors named(const Classifier& model, const WeightFile& weights) {
  return has_keras_names(weights) ? from_keras(model, weights) : from_torch(weights);
}

Plan plan(const Classifier& model, const WeightFile& weights) {
  Plan plan;
  auto& report = plan.report;
  report.source = weights_source(weights);
  const auto own = tensors_of(model);
  const auto theirs = named(model, weights);
  for (const auto& [name, tensor] : own) {
    const auto found = theirs.tensors.find(name);
    if (found == theirs.tensors.end()) {
      report.missing.push_back(name);
    } else if (found->second.sizes() != tensor.sizes()) {
      report.other_size.push_back({name, found->second.sizes().vec(), tensor.sizes().vec()});
    } else {
      report.matched.push_back(name);
      plan.copies.emplace_back(tensor, found->second);
    }
  }
  for (const auto& [name, tensor] : theirs.tensors) {
    if (own.contains(name)) continue;
    const auto origin = theirs.origin.find(name);
    report.unexpected.push_back(origin == theirs.origin.end() ? name : origin->second);
  }
  return plan;
}

/// Throws where values can't be a model's.
void check_values(const Plan& plan, const WeightFile& weights) {
  for (std::size_t i = 0; i < plan.copies.size(); ++i) {
    const auto& [to, from] = plan.copies[i];
    const auto& name = plan.report.matched[i];
    if (to.is_floating_point() != from.is_floating_point()) {
      throw input_error("weights", "{}: tensor {} is of {}, expected {}", weights.file.string(),
                        name, c10::toString(from.scalar_type()), c10::toString(to.scalar_type()));
    }
    if (!at::isfinite(from.to(to.scalar_type())).all().item<bool>()) {
      throw input_error("weights",
                        "{}: tensor {} has values that are not finite, or too large for {}; use "
                        "weights from before training diverged",
                        weights.file.string(), name, c10::toString(to.scalar_type()));
    }
  }
}

}  // namespace

FitReport compare_weights(const Classifier& model, const WeightFile& weights) {
  return plan(model, weights).report;
}

TensorMap map_weights(const Classifier& model, const WeightFile& weights) {
  return named(model, weights).tensors;
}

FitReport fit_weights(Classifier& model, const WeightFile& weights, const FitOptions& options) {
  auto planned = plan(model, weights);
  check(planned.report, weights, options);
  check_values(planned, weights);
  const at::NoGradGuard no_grad;
  for (auto& [to, from] : planned.copies) to.copy_(from);
  return planned.report;
}

}  // namespace xception
