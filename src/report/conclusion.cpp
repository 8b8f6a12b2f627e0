#include <fmt/ranges.h>

#include <algorithm>

#include "names.h"
#include "sections.h"

namespace xception {
namespace {

constexpr std::size_t kMostSentences = 5;
constexpr std::size_t kMostKeysInSentence = 6;  // in a sentence

/// `Xception 61.20 % ± 0.31`
std::string standing(const RunSet& set, const ComparisonResult& results, std::size_t variant) {
  return fmt::format("{} {}", set.variants[variant].label,
                     percent_of(results.variants[variant].test_accuracy));
}

/// In which keys two variants differ, where their names don't say it.
std::string differences_sentence(const RunSet& set, const PairResult& pair) {
  RunSet two;
  two.variants = {set.variants[pair.first], set.variants[pair.second]};
  const bool same_model = two.variants[0].model == two.variants[1].model;
  if (same_model && (!set.by_run || set.variants.size() > 2)) return "";  // a table says it
  std::vector<std::string> keys;
  for (const auto& row : config_differences(two)) {
    if (same_model || !row.front().starts_with("model.")) keys.push_back(row.front());
  }
  if (keys.empty()) return "";
  const auto all = keys.size();
  keys.resize(std::min(all, kMostKeysInSentence));
  return fmt::format(
      "They differ in {}: {}{}.", same_model ? "their configs" : "more than the model",
      fmt::join(keys, ", "),
      all > kMostKeysInSentence ? fmt::format(" and {} more", all - kMostKeysInSentence) : "");
}

/// That some runs stand apart.
std::string other_data_sentence(const RunSet& set) {
  if (set.other_data.empty()) return "";
  std::size_t runs = 0;
  std::vector<std::string> names;
  for (const auto& other : set.other_data) {
    runs += other.runs.size();
    for (const auto& run : other.runs)
      names.push_back(shortened(printable(run.name), kNameColumns));
  }
  const auto all = names.size();
  names.resize(std::min(all, kMostKeysInSentence));
  return fmt::format(
      "{} of {} runs {} on other data than the rest ({}{}): not compared, in no chart and no test, "
      "but under Runs on other data.",
      runs, runs + set.runs.size(), runs == 1 ? "is" : "are", fmt::join(names, ", "),
      all > kMostKeysInSentence ? fmt::format(" and {} more", all - kMostKeysInSentence) : "");
}

std::string one_seed_sentence(const RunSet& set, const PairResult& pair, std::size_t better,
                              std::size_t worse) {
  const auto gap = points(std::abs(pair.difference));
  if (pair.mcnemar.empty()) {
    return fmt::format("{} has {} more than {}, but not on the same images: that says little.",
                       set.variants[better].label, gap, set.variants[worse].label);
  }
  const auto p = pair.mcnemar.front().p();
  return fmt::format(
      "With one seed each, {}'s network answers {} more of the same {} test images rightly than "
      "{}'s (McNemar, p {}): {}.",
      set.variants[better].label, gap, grouped(static_cast<std::int64_t>(pair.images)),
      set.variants[worse].label, p_text(p),
      p < 0.05 ? "more than the choice of test images explains"
               : "which the choice of test images may explain");
}

/// What one seed leaves open.
std::string seeds_sentence(const RunSet& set, const std::vector<PairResult>& pairs) {
  const auto is_open = [](const PairResult& pair) { return !pair.mcnemar.empty() && !pair.p; };
  if (pairs.empty() || !is_open(pairs.front())) return "";
  const bool same_model =
      set.variants[pairs.front().first].model == set.variants[pairs.front().second].model;
  return fmt::format("Whether the {} or the seed did it takes more seeds.",
                     same_model ? "config" : "architecture");
}

std::string accuracy_sentence(const RunSet& set, const ComparisonResult& results,
                              const PairResult& pair) {
  const bool first_wins = pair.difference >= 0;
  const auto better = first_wins ? pair.first : pair.second;
  const auto worse = first_wins ? pair.second : pair.first;
  if (pair.seeds.empty()) {
    return fmt::format("{}, {}: no seed in common, so nothing says whether that is noise.",
                       standing(set, results, better), standing(set, results, worse));
  }
  if (!pair.p) return one_seed_sentence(set, pair, better, worse);
  const auto figures =
      fmt::format("{}, {}; {} over {} seeds (paired t-test, p {})", standing(set, results, better),
                  standing(set, results, worse), points(std::abs(pair.difference)),
                  pair.seeds.size(), p_text(*pair.p));
  if (pair.is_settled()) {
    return fmt::format("{} is better than {} in test accuracy, and it is more than noise: {}.{}",
                       set.variants[better].label, set.variants[worse].label, figures,
                       pair.seeds.size() == 2 ? " Two seeds are few to rely on." : "");
  }
  return fmt::format(
      "{} and {} cannot be told apart in test accuracy; the difference may be "
      "noise: {}.",
      set.variants[better].label, set.variants[worse].label, figures);
}

std::string speed_sentence(const RunSet& set, const ComparisonResult& results,
                           const PairResult& pair) {
  const auto& first = results.variants[pair.first];
  const auto& second = results.variants[pair.second];
  if (first.images_per_second.empty() || second.images_per_second.empty()) return "";
  if (first.device != second.device) {
    return fmt::format("Their speeds aren't compared: {} trained on {}, {} on {}.",
                       set.variants[pair.first].label, first.device,
                       set.variants[pair.second].label, second.device);
  }
  const bool first_wins = first.images_per_second.mean() >= second.images_per_second.mean();
  const auto& fast = first_wins ? first : second;
  const auto& slow = first_wins ? second : first;
  const bool apart = fast.images_per_second.low() > slow.images_per_second.high();
  return fmt::format("{} trains {:.2f} times as fast as {}: {} against {} images/s ({}).",
                     set.variants[first_wins ? pair.first : pair.second].label,
                     fast.images_per_second.mean() / slow.images_per_second.mean(),
                     set.variants[first_wins ? pair.second : pair.first].label,
                     text_of(fast.images_per_second, 1), text_of(slow.images_per_second, 1),
                     apart ? "every run of the one is faster than every run of the other"
                           : "single runs overlap, so it may be noise");
}

std::string lead_sentence(const RunSet& set) {
  const auto leads = lead_by_time(set);
  if (leads.empty()) return "";
  if (leads.size() > 6) {
    return fmt::format(
        "After equal training time the lead in validation accuracy changes {} "
        "times; the last to take it is {}.",
        leads.size() - 1, set.variants[leads.back().variant].label);
  }
  std::vector<std::string> parts;
  for (const auto& lead : leads) {
    parts.push_back(fmt::format("{} from {:.0f} s of training", set.variants[lead.variant].label,
                                lead.from_seconds));
  }
  return fmt::format("Ahead in validation accuracy after equal training time: {}.",
                     fmt::join(parts, ", then "));
}

std::string without_pairs(const RunSet& set, const ComparisonResult& results) {
  std::size_t last = 0;
  while (last < set.variants.size() && results.variants[last].test_accuracy.empty()) ++last;
  if (last == set.variants.size()) {
    return "No run is complete and tested, so nothing can be concluded yet: the curves are all "
           "there is.";
  }
  const auto& result = results.variants[last];
  return fmt::format(
      "There is nothing to compare with: {} alone was tested, {} (95 % Wilson interval of one test "
      "set: {} to {}).",
      set.variants[last].label, percent_of(result.test_accuracy), percent(result.wilson->low),
      percent(result.wilson->high));
}

}  // namespace

std::vector<std::string> conclusion_of(const RunSet& set, const ComparisonResult& results) {
  std::vector<std::string> sentences;
  if (results.pairs.empty()) sentences.push_back(without_pairs(set, results));
  // The best against the others; the table has the rest.
  std::size_t told = 0;
  for (const auto& pair : results.pairs) {
    if (pair.first != results.pairs.front().first || told == kMostSentences) continue;
    ++told;
    sentences.push_back(accuracy_sentence(set, results, pair));
    const auto differences = differences_sentence(set, pair);
    if (std::find(sentences.begin(), sentences.end(), differences) == sentences.end()) {
      sentences.push_back(differences);
    }
  }
  sentences.push_back(seeds_sentence(set, results.pairs));
  if (results.pairs.size() == 1)
    sentences.push_back(speed_sentence(set, results, results.pairs[0]));
  sentences.push_back(lead_sentence(set));
  sentences.push_back(other_data_sentence(set));
  sentences.erase(std::remove(sentences.begin(), sentences.end(), ""), sentences.end());
  return sentences;
}

void add_conclusion(ReportParts& parts) {
  const auto sentences = conclusion_of(parts.set, parts.results);
  for (std::size_t i = 0; i < sentences.size(); ++i) {
    parts.add(Paragraph{.text = sentences[i], .strong = i == 0});
  }
}

}  // namespace xception
