#include "xception/report/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

namespace xception {
namespace {

using Json = nlohmann::ordered_json;

std::optional<double> number_at(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

std::string text_at(const Json& json, const char* key, const std::string& otherwise) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : otherwise;
}

/// `cpu (Intel Xeon), 2 threads, bf16`
std::string device_of(const RunRecord& run) {
  const auto& environment = run.environment;
  auto device = text_at(run.summary, "device", text_at(environment, "device", "unknown device"));
  if (device == "cpu") {
    device = text_at(environment, "processor", "cpu");
    if (const auto threads = number_at(environment, "threads")) {
      device += fmt::format(", {:.0f} {}", *threads, *threads == 1 ? "thread" : "threads");
    }
  } else if (environment.contains("devices")) {
    for (const auto& entry : environment["devices"]) {
      if (entry.is_object() && entry.value("device", "") == device) {
        device = entry.value("name", device);
      }
    }
  }
  if (const auto ranks = number_at(run.summary, "ranks"); ranks && *ranks > 1) {
    device += fmt::format(", {:.0f} ranks", *ranks);
  }
  const auto precision = text_at(run.summary, "precision", "");
  return precision.empty() ? device : device + ", " + precision;
}

void add_answers(VariantResult& result, const TestAnswers& answers,
                 std::vector<double>& confidences, std::vector<bool>& right) {
  if (!result.confusion) result.confusion.emplace(answers.classes);
  if (result.confusion->classes() != answers.classes) return;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    result.confusion->add(answers.labels[i], answers.answers[i]);
    confidences.push_back(answers.confidences[i]);
    right.push_back(answers.answers[i] == answers.labels[i]);
  }
}

void add_costs(VariantResult& result, const RunRecord& run) {
  const auto keep = [](std::int64_t& target, std::optional<double> value) {
    if (value) target = std::max(target, static_cast<std::int64_t>(*value));
  };
  keep(result.parameters, number_at(run.summary, "parameters"));
  keep(result.multiply_adds, number_at(run.summary, "multiply_adds"));
  result.memory_bytes = std::max(result.memory_bytes, run.memory_bytes());
  if (result.device.empty()) result.device = device_of(run);
  if (!run.is_complete()) return;
  ++result.complete;
  if (!run.history.empty()) {
    result.train_seconds.values.push_back(run.train_seconds());
    result.epoch_seconds.values.push_back(run.train_seconds() /
                                          static_cast<double>(run.history.size()));
  }
  if (run.images_per_second() > 0) {
    result.images_per_second.values.push_back(run.images_per_second());
  }
  if (const auto energy = number_at(run.summary, "train_energy_joules")) {
    result.energy_joules.values.push_back(*energy);
  }
  if (const auto last = number_at(run.summary, "last_test_accuracy")) {
    result.last_test_accuracy.values.push_back(*last);
  }
}

VariantResult result_of(const RunSet& set, const RunVariant& variant) {
  VariantResult result{.runs = variant.runs.size()};
  std::vector<double> confidences;
  std::vector<bool> right;
  std::size_t images = 0;
  for (const auto place : variant.runs) {
    const auto& run = set.runs[place];
    add_costs(result, run);
    if (!run.answers) continue;
    result.seeds.push_back(run.seed());
    result.test_accuracy.values.push_back(run.answers->accuracy());
    images = run.answers->size();
    add_answers(result, *run.answers, confidences, right);
  }
  if (images > 0) {
    const auto n = static_cast<std::int64_t>(images);
    result.wilson =
        wilson_interval(std::llround(result.test_accuracy.mean() * static_cast<double>(n)), n);
    result.calibration = calibrate(confidences, right);
  }
  return result;
}

/// The first tested run of each seed.
std::map<std::int64_t, const RunRecord*> by_seed(const RunSet& set, const RunVariant& variant) {
  std::map<std::int64_t, const RunRecord*> runs;
  for (const auto place : variant.runs) {
    const auto& run = set.runs[place];
    if (run.answers) runs.emplace(run.seed(), &run);
  }
  return runs;
}

/// Counts one seed's images, and keeps of `both_wrong` those that both have wrong here too.
McNemar count_pair(const TestAnswers& a, const TestAnswers& b, std::set<std::int64_t>& both_wrong,
                   bool first_seed) {
  std::int64_t only_first = 0;
  std::int64_t only_second = 0;
  std::set<std::int64_t> wrong;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const bool first = a.answers[i] == a.labels[i];
    const bool second = b.answers[i] == b.labels[i];
    if (first && !second) ++only_first;
    if (second && !first) ++only_second;
    if (!first && !second && (first_seed || both_wrong.contains(a.indices[i]))) {
      wrong.insert(a.indices[i]);
    }
  }
  both_wrong = std::move(wrong);
  return mcnemar(only_first, only_second);
}

PairResult compare_pair(const RunSet& set, const ComparisonResult& results, std::size_t first,
                        std::size_t second) {
  PairResult pair{.first = first, .second = second};
  const auto others = by_seed(set, set.variants[second]);
  std::set<std::int64_t> both_wrong;
  for (const auto& [seed, run] : by_seed(set, set.variants[first])) {
    const auto other = others.find(seed);
    if (other == others.end()) continue;
    const auto& a = *run->answers;
    const auto& b = *other->second->answers;
    pair.seeds.push_back(seed);
    pair.differences.push_back(a.accuracy() - b.accuracy());
    if (!a.same_images(b)) continue;
    pair.images = a.size();
    pair.mcnemar.push_back(count_pair(a, b, both_wrong, pair.mcnemar.empty()));
  }
  pair.both_wrong.assign(both_wrong.begin(), both_wrong.end());
  pair.difference = pair.differences.empty() ? results.variants[first].test_accuracy.mean() -
                                                   results.variants[second].test_accuracy.mean()
                                             : mean_of(pair.differences);
  pair.p = paired_t_test(pair.differences);
  return pair;
}

/// All pairs of few tested variants, the best against each of many.
std::vector<std::pair<std::size_t, std::size_t>> pairs_to_compare(const RunSet& set,
                                                                  const ComparisonResult& results) {
  std::vector<std::size_t> tested;
  for (std::size_t v = 0; v < set.variants.size(); ++v) {
    if (!results.variants[v].test_accuracy.empty()) tested.push_back(v);
  }
  std::stable_sort(tested.begin(), tested.end(), [&](std::size_t a, std::size_t b) {
    return results.variants[a].test_accuracy.mean() > results.variants[b].test_accuracy.mean();
  });
  const bool few = tested.size() * (tested.size() - 1) / 2 <= kMostPairs;
  std::vector<std::pair<std::size_t, std::size_t>> pairs;
  for (std::size_t i = 0; i < tested.size() && (few || i == 0); ++i) {
    for (std::size_t j = i + 1; j < tested.size() && pairs.size() < kMostPairs; ++j) {
      pairs.emplace_back(tested[i], tested[j]);
    }
  }
  return pairs;
}

/// Holm's correction of both kinds of tests, each over all of its kind.
void correct(std::vector<PairResult>& pairs) {
  std::vector<double> over_seeds, over_images;
  for (const auto& pair : pairs) {
    if (pair.p) over_seeds.push_back(*pair.p);
    for (const auto& test : pair.mcnemar) over_images.push_back(test.p());
  }
  const auto seeds = holm(over_seeds);
  const auto images = holm(over_images);
  std::size_t s = 0;
  std::size_t i = 0;
  for (auto& pair : pairs) {
    if (pair.p) pair.p = seeds[s++];
    for (std::size_t k = 0; k < pair.mcnemar.size(); ++k) pair.mcnemar_p.push_back(images[i++]);
  }
}

}  // namespace

double Mean::low() const {
  return *std::min_element(values.begin(), values.end());
}

double Mean::high() const {
  return *std::max_element(values.begin(), values.end());
}

ComparisonResult compare_variants(const RunSet& set) {
  ComparisonResult results;
  for (const auto& variant : set.variants) results.variants.push_back(result_of(set, variant));
  for (const auto& [first, second] : pairs_to_compare(set, results)) {
    results.pairs.push_back(compare_pair(set, results, first, second));
  }
  correct(results.pairs);
  return results;
}

MeanCurve mean_curve(const RunSet& set, const RunVariant& variant, EpochValue value) {
  struct Sums {
    std::vector<double> values = {};
    std::vector<double> seconds = {};
    bool gap = false;
  };
  std::map<std::int64_t, Sums> epochs;
  for (const auto place : variant.runs) {
    double seconds = 0.0;
    for (const auto& point : set.runs[place].history) {
      seconds += point.train_seconds;
      auto& sums = epochs[point.epoch];
      if (const auto y = value(point)) {
        sums.values.push_back(*y);
        sums.seconds.push_back(seconds);
      } else {
        sums.gap = true;
      }
    }
  }
  MeanCurve curve;
  for (const auto& [epoch, sums] : epochs) {
    if (sums.gap || sums.values.empty()) continue;
    curve.epoch.push_back(static_cast<double>(epoch));
    curve.seconds.push_back(mean_of(sums.seconds));
    curve.mean.push_back(mean_of(sums.values));
    curve.low.push_back(*std::min_element(sums.values.begin(), sums.values.end()));
    curve.high.push_back(*std::max_element(sums.values.begin(), sums.values.end()));
  }
  return curve;
}

std::vector<Lead> lead_by_time(const RunSet& set) {
  struct Event {
    double seconds = 0.0;
    std::size_t variant = 0;
    double accuracy = 0.0;
  };
  std::vector<Event> events;
  std::set<std::size_t> taking_part;
  for (std::size_t v = 0; v < set.variants.size(); ++v) {
    const auto curve =
        mean_curve(set, set.variants[v], [](const EpochPoint& p) { return p.validation_accuracy; });
    for (std::size_t i = 0; i < curve.mean.size(); ++i) {
      events.push_back({curve.seconds[i], v, curve.mean[i]});
      taking_part.insert(v);
    }
  }
  if (taking_part.size() < 2) return {};
  std::stable_sort(events.begin(), events.end(),
                   [](const Event& a, const Event& b) { return a.seconds < b.seconds; });
  std::map<std::size_t, double> now;
  std::vector<Lead> leads;
  for (std::size_t i = 0; i < events.size(); ++i) {
    const auto& event = events[i];
    now[event.variant] = event.accuracy;
    // What happens at the same time happens together.
    if (i + 1 < events.size() && events[i + 1].seconds == event.seconds) continue;
    const auto best = std::max_element(
        now.begin(), now.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    if (leads.empty() || leads.back().variant != best->first) {
      leads.push_back({event.seconds, best->first});
    }
  }
  return leads;
}

}  // namespace xception
