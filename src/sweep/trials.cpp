#include "xception/sweep/trials.h"

#include <cmath>
#include <map>
#include <set>

#include "xception/core/error.h"
#include "xception/core/files.h"
#include "xception/core/random.h"
#include "xception/models/registry.h"

namespace xception {
namespace {

using nlohmann::json;
using Settings = std::vector<std::pair<std::string, json>>;

constexpr std::size_t kLongestLabel = 100;

json draw(const RandomAxis& axis, CounterRandom& random) {
  switch (axis.kind) {
    case RandomAxis::Kind::uniform:
      return random.uniform(axis.low, axis.high);
    case RandomAxis::Kind::log_uniform:
      return std::exp(random.uniform(std::log(axis.low), std::log(axis.high)));
    case RandomAxis::Kind::integer: {
      const auto low = static_cast<std::int64_t>(axis.low);
      return low + random.below(static_cast<std::int64_t>(axis.high) - low + 1);
    }
    case RandomAxis::Kind::choice:
      return axis.choices[static_cast<std::size_t>(
          random.below(static_cast<std::int64_t>(axis.choices.size())))];
  }
  return nullptr;
}

/// Each of `rows` followed by each of `more`.
std::vector<Settings> product(const std::vector<Settings>& rows,
                              const std::vector<Settings>& more) {
  if (more.empty()) return rows;
  std::vector<Settings> result;
  for (const auto& row : rows) {
    for (const auto& addition : more) {
      auto& joined = result.emplace_back(row);
      joined.insert(joined.end(), addition.begin(), addition.end());
    }
  }
  return result;
}

std::string last_part(const std::string& key) {
  return key.substr(key.rfind('.') + 1);
}

/// A number as the user wrote it; a long one, as draws are, to so many digits.
std::string number_text(double value, int digits) {
  constexpr std::size_t kShort = 12;
  auto text = fmt::format("{}", value);
  return text.size() <= kShort ? text : fmt::format("{:.{}g}", value, digits);
}

/// `intermediate_activation=relu,lr=0.01`; the section too where two keys would look alike.
std::string label_of(const Settings& settings, int digits) {
  std::map<std::string, int> uses;
  for (const auto& [key, value] : settings) ++uses[last_part(key)];
  std::string label;
  for (const auto& [key, value] : settings) {
    std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    if (value.is_number_float()) text = number_text(value.get<double>(), digits);
    label +=
        (label.empty() ? "" : ",") + (uses[last_part(key)] > 1 ? key : last_part(key)) + "=" + text;
  }
  return label.empty() ? "base" : label;
}

/// Letters, digits and what else a file name can bear everywhere.
std::string file_name(const std::string& label) {
  std::string name;
  for (const char c : label.substr(0, kLongestLabel)) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                       std::string_view("=,.-_").find(c) != std::string_view::npos;
    name += plain ? c : '_';
  }
  return name;
}

RunConfig config_of(const SweepConfig& sweep, const Variant& variant, std::int64_t seed) {
  json config = sweep.base;
  auto of_base = sweep.base_keys;
  for (const auto& [key, value] : variant.settings) {
    config[dotted_key(key)] = value;
    of_base.erase(key);
  }
  config["seed"] = seed;
  auto result = config_of_json(config, fmt::format("{}: {}", sweep.name, variant.label));
  leave_out_foreign_keys(result, sweep.base_model, of_base, sweep.name);
  resolve_batch_size(result, 1);
  try {
    check_together(result);
    resolve_model(result);
  } catch (const Error& error) {
    throw input_error("sweep", "{}: {}: {}", sweep.name, variant.label, error.what());
  }
  return result;
}

}  // namespace

std::vector<Variant> expand_variants(const SweepConfig& sweep) {
  std::vector<Settings> rows = {{}};
  rows = product(rows, sweep.list);
  std::vector<Settings> zipped;
  for (std::size_t i = 0; !sweep.zip.empty() && i < sweep.zip.front().values.size(); ++i) {
    auto& row = zipped.emplace_back();
    for (const auto& axis : sweep.zip) row.emplace_back(axis.key, axis.values[i]);
  }
  rows = product(rows, zipped);
  for (const auto& axis : sweep.grid) {
    std::vector<Settings> values;
    for (const auto& value : axis.values) values.push_back({{axis.key, value}});
    rows = product(rows, values);
  }
  std::vector<Settings> samples;
  for (std::int64_t i = 0; i < sweep.samples; ++i) {
    // Each sample is a function of its number alone, so that more of them change none.
    CounterRandom random(sweep.random_seed, RandomStream::sweep, static_cast<std::uint32_t>(i));
    auto& sample = samples.emplace_back();
    for (const auto& axis : sweep.random) sample.emplace_back(axis.key, draw(axis, random));
  }
  rows = product(rows, samples);
  // As few digits as tell the variants apart; 17 tell all doubles apart.
  std::vector<std::string> labels;
  for (int digits = 6; digits <= 17; ++digits) {
    labels.clear();
    for (const auto& row : rows) labels.push_back(label_of(row, digits));
    if (std::set<std::string>(labels.begin(), labels.end()).size() == rows.size()) break;
  }
  std::vector<Variant> variants;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    variants.push_back({.label = labels[i], .settings = std::move(rows[i])});
  }
  return variants;
}

TrialPlan plan_trials(const SweepConfig& sweep, const std::string& data_checksum) {
  // Counted before they are made.
  double count = static_cast<double>(sweep.seeds.size());
  for (const auto& axis : sweep.grid) count *= static_cast<double>(axis.values.size());
  if (!sweep.zip.empty()) count *= static_cast<double>(sweep.zip.front().values.size());
  if (!sweep.list.empty()) count *= static_cast<double>(sweep.list.size());
  if (sweep.samples > 0) count *= static_cast<double>(sweep.samples);
  if (count > static_cast<double>(sweep.max_trials)) {
    throw input_error("sweep",
                      "{}: {:.0f} trials, but limits.trials is {}; sweep less, or raise it",
                      sweep.name, count, sweep.max_trials);
  }
  TrialPlan plan;
  plan.variants = expand_variants(sweep);
  std::map<std::string, std::string> seen;
  for (std::size_t v = 0; v < plan.variants.size(); ++v) {
    const auto& variant = plan.variants[v];
    for (const auto seed : sweep.seeds) {
      Trial trial;
      trial.variant = v;
      trial.seed = seed;
      trial.config = config_of(sweep, variant, seed);
      trial.hash = result_hash(trial.config, data_checksum);
      trial.name =
          fmt::format("{},seed={}-{}", file_name(variant.label), seed, trial.hash.substr(0, 8));
      const auto text = fmt::format("{} with seed {}", variant.label, seed);
      const auto [other, is_new] = seen.emplace(trial.hash, text);
      if (!is_new) {
        throw input_error("sweep", "{}: {} would be trained twice, also as {}; keep one",
                          sweep.name, text, other->second);
      }
      plan.trials.push_back(std::move(trial));
    }
  }
  return plan;
}

std::string result_hash(const RunConfig& config, const std::string& data_checksum) {
  auto json = decisive_config(to_json(config));
  json["data_checksum"] = data_checksum;
  return sha256(json.dump());
}

}  // namespace xception
