#include <fmt/ranges.h>

#include <algorithm>

#include "sections.h"

namespace xception {
namespace {

constexpr std::size_t kMostSentences = 5;

/// `Xception 61.20 % ± 0.31`
std::string standing(const RunSet& set, const ComparisonResult& results, std::size_t variant) {
  return fmt::format("{} {}", set.variants[variant].label,
                     percent_of(results.variants[variant].test_accuracy));
}

/// The keys in which two variants differ, the model's own aside.
std::vector<std::string> other_differences(const RunSet& set, const PairResult& pair) {
  RunSet two;
  two.variants = {set.variants[pair.first], set.variants[pair.second]};
  std::vector<std::string> keys;
  for (const auto& row : config_differences(two)) {
    if (!row.front().starts_with("model.")) keys.push_back(row.front());
  }
  return keys;
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
      "{}'s (McNemar, p {}): {}. Whether the architecture or the seed did it takes more seeds.",
      set.variants[better].label, gap, grouped(static_cast<std::int64_t>(pair.images)),
      set.variants[worse].label, p_text(p),
      p < 0.05 ? "more than the choice of test images explains"
               : "which the choice of test images may explain");
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
  std::size_t tested = 0;
  std::size_t last = 0;
  for (std::size_t v = 0; v < set.variants.size(); ++v) {
    if (results.variants[v].test_accuracy.empty()) continue;
    ++tested;
    last = v;
  }
  if (tested == 0) {
    return "No run is complete and tested, so nothing can be concluded yet: the curves are all "
           "there is.";
  }
  if (tested > 1) return "No two variants are of the same data: nothing can be compared.";
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
    const auto others = other_differences(set, pair);
    if (!others.empty()) {
      sentences.push_back(
          fmt::format("They differ in more than the model: {}.", fmt::join(others, ", ")));
    }
  }
  if (results.pairs.size() == 1)
    sentences.push_back(speed_sentence(set, results, results.pairs[0]));
  sentences.push_back(lead_sentence(set));
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
