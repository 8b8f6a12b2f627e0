#include "report_json.h"

namespace xception {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const Mean& mean) {
  if (mean.empty()) return nullptr;
  const auto deviation = mean.deviation();
  return {{"mean", mean.mean()},
          {"std", deviation ? Json(*deviation) : Json(nullptr)},
          {"values", mean.values}};
}

Json json_of(const ConfusionMatrix& matrix) {
  Json rows = Json::array();
  for (std::int64_t row = 0; row < matrix.classes(); ++row) {
    Json cells = Json::array();
    for (std::int64_t column = 0; column < matrix.classes(); ++column) {
      cells.push_back(matrix.at(row, column));
    }
    rows.push_back(std::move(cells));
  }
  return rows;
}

Json json_of(const RunSet& set, const RunVariant& variant, const VariantResult& result) {
  Json json = {{"label", variant.label},
               {"model", variant.model},
               {"runs", Json::array()},
               {"seeds", result.seeds},
               {"complete", result.complete},
               {"parameters", result.parameters},
               {"multiply_adds", result.multiply_adds},
               {"device", result.device},
               {"memory_bytes", result.memory_bytes},
               {"test_accuracy", json_of(result.test_accuracy)},
               {"last_test_accuracy", json_of(result.last_test_accuracy)},
               {"train_seconds", json_of(result.train_seconds)},
               {"epoch_seconds", json_of(result.epoch_seconds)},
               {"images_per_second", json_of(result.images_per_second)},
               {"energy_joules", json_of(result.energy_joules)},
               {"config", variant.config}};
  for (const auto place : variant.runs) {
    const auto& run = set.runs[place];
    json["runs"].push_back(
        {{"folder", run.folder.string()},
         {"seed", run.seed()},
         {"status", run.status()},
         {"test_accuracy", run.answers ? Json(run.answers->accuracy()) : Json(nullptr)}});
  }
  if (result.wilson) json["wilson"] = {result.wilson->low, result.wilson->high};
  if (result.confusion) {
    json["confusion"] = json_of(*result.confusion);
    json["macro_f1"] = result.confusion->macro_f1();
    json["balanced_accuracy"] = result.confusion->balanced_accuracy();
    json["classes"] = Json::array();
    for (const auto& scores : result.confusion->scores()) {
      json["classes"].push_back({{"precision", scores.precision},
                                 {"recall", scores.recall},
                                 {"f1", scores.f1},
                                 {"support", scores.support}});
    }
  }
  if (result.calibration) {
    json["ece"] = result.calibration->ece;
    json["reliability"] = Json::array();
    for (const auto& bin : result.calibration->bins) {
      json["reliability"].push_back(
          {{"count", bin.count}, {"confidence", bin.confidence}, {"accuracy", bin.accuracy}});
    }
  }
  return json;
}

Json json_of(const RunSet& set, const PairResult& pair) {
  Json json = {{"first", set.variants[pair.first].label},
               {"second", set.variants[pair.second].label},
               {"difference", pair.difference},
               {"seeds", pair.seeds},
               {"differences", pair.differences},
               {"p", pair.p ? Json(*pair.p) : Json(nullptr)},
               {"settled", pair.is_settled()},
               {"images", pair.images},
               {"both_wrong", pair.both_wrong},
               {"mcnemar", Json::array()}};
  for (std::size_t i = 0; i < pair.mcnemar.size(); ++i) {
    const auto& test = pair.mcnemar[i];
    json["mcnemar"].push_back({{"seed", pair.seeds[i]},
                               {"only_first", test.only_first},
                               {"only_second", test.only_second},
                               {"exact_p", test.exact_p},
                               {"chi_square", test.chi_square},
                               {"chi_square_p", test.chi_square_p},
                               {"p", pair.mcnemar_p[i]}});
  }
  return json;
}

Json variants_json(const RunSet& set, const ComparisonResult& results) {
  Json json = Json::array();
  for (std::size_t v = 0; v < set.variants.size(); ++v) {
    json.push_back(json_of(set, set.variants[v], results.variants[v]));
  }
  return json;
}

Json data_json(const RunSet& set) {
  return {{"name", set.data_name}, {"checksum", set.data_checksum}};
}

Json figures_json(const Document& document) {
  Json names = Json::array();
  for (const auto& block : document.blocks) {
    const auto* row = std::get_if<FigureRow>(&block);
    if (row == nullptr) continue;
    for (const auto& figure : row->figures) names.push_back(figure.file);
  }
  return names;
}

}  // namespace

Json to_json(const ReportParts& parts) {
  Json json = {{"conclusion", conclusion_of(parts.set, parts.results)},
               {"checkpoint", parts.set.checkpoint},
               {"data", data_json(parts.set)},
               {"class_names", parts.set.class_names},
               {"variants", variants_json(parts.set, parts.results)},
               {"pairs", Json::array()},
               {"other_data", Json::array()},
               {"notices", parts.set.notices},
               {"figures", figures_json(parts.document)}};
  for (const auto& pair : parts.results.pairs) json["pairs"].push_back(json_of(parts.set, pair));
  for (const auto& other : parts.set.other_data) {
    auto set = data_json(other);
    set["variants"] = variants_json(other, compare_variants(other));
    json["other_data"].push_back(std::move(set));
  }
  return json;
}

}  // namespace xception
