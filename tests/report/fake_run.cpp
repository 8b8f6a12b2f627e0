#include "report/fake_run.h"

#include <torch/types.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "xception/core/json.h"
#include "xception/core/safetensors.h"

namespace xception {

void write_fake_run(const std::filesystem::path& folder, const FakeRun& run) {
  using Json = nlohmann::ordered_json;
  std::filesystem::create_directories(folder);
  Json config = {{"model", {{"name", run.model}, {"intermediate_activation", run.activation}}},
                 {"data", {{"dir", "nowhere"}, {"image_size", 71}}},
                 {"train", {{"epochs", run.validation_accuracy.size()}, {"log_interval", 50}}},
                 {"optimizer", {{"lr", run.learning_rate}}},
                 {"parallel", {{"threads", 1}, {"batch_norm", "rank0"}}},
                 {"seed", run.seed}};
  config.merge_patch(run.more_config);
  write_json(folder / "config.json", config);
  Json environment = {{"git_commit", "abc"}, {"processor", "test"}};
  if (!run.data_label.empty()) environment["data_label"] = run.data_label;
  write_json(folder / "environment.json", environment);
  Json summary = {{"status", run.status},      {"model", run.model},
                  {"parameters", 1234567},     {"multiply_adds", 2000000000},
                  {"last_test_accuracy", 0.5}, {"images_per_second", run.images_per_second},
                  {"seed", run.seed},          {"device", "cpu"},
                  {"precision", "fp32"}};
  summary["data"] = {{"name", "test set"},
                     {"checksum", run.checksum},
                     {"classes", {"ant", "bee", "cow"}},
                     {"train", 1000}};
  write_json(folder / "summary.json", summary);
  std::ofstream history(folder / "history.jsonl");
  for (std::size_t i = 0; i < run.validation_accuracy.size(); ++i) {
    history << Json{{"epoch", i + 1},
                    {"train_loss", 1.0 / static_cast<double>(i + 1)},
                    {"train_acc", run.validation_accuracy[i]},
                    {"val_loss", 1.1 / static_cast<double>(i + 1)},
                    {"val_acc", run.validation_accuracy[i]},
                    {"time_per_epochs", run.epoch_seconds},
                    {"memory_bytes", 1000000}}
                   .dump()
            << "\n";
  }
  if (run.status != "complete") return;
  const auto n = static_cast<std::int64_t>(run.answers.size());
  auto probabilities = torch::full({n, 3}, 0.1);
  for (std::int64_t i = 0; i < n; ++i) {
    probabilities[i][run.answers[static_cast<std::size_t>(i)]] = 0.8;
  }
  for (const auto* checkpoint : {"best", "last"}) {
    save_safetensors(folder / ("predictions-" + std::string(checkpoint) + "-test.safetensors"),
                     {{"index", torch::arange(n, torch::kInt64)},
                      {"label", torch::arange(n, torch::kInt64).remainder(3)},
                      {"probabilities", probabilities}});
  }
}

std::vector<std::int64_t> answers_with_errors(std::int64_t n, std::int64_t period,
                                              std::int64_t first) {
  std::vector<std::int64_t> answers;
  for (std::int64_t i = 0; i < n; ++i) {
    answers.push_back((i + (i % period == first ? 1 : 0)) % 3);
  }
  return answers;
}

}  // namespace xception
