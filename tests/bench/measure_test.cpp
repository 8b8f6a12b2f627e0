// What is counted, the clock of a step's phases, tables and files.
#include <gmock/gmock.h>
#include <torch/utils.h>

#include <algorithm>

#include "xception/bench/operators.h"
#include "xception/bench/output.h"
#include "xception/bench/phase_clock.h"

namespace xception {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

TEST(CountOperators, ByHand) {
  const torch::NoGradGuard no_grad;
  const auto a = torch::ones({4, 5});  // 80 bytes
  const auto b = torch::ones({5, 6});  // 120 bytes
  auto sum = torch::zeros({4, 6});     // 96 bytes
  const auto count = count_operators([&] {
    const auto product = a.mm(b);  // reads 200, writes 96
    sum.add_(product);             // reads 96 + 96, writes 96
    (void)sum.view({24}).t();      // views move nothing
    (void)torch::empty({100});     // nor do allocations
    sum.zero_();                   // writes 96, reads nothing
  });
  EXPECT_EQ(count.operators, 3);
  EXPECT_EQ(count.read_bytes, 200 + 192);
  EXPECT_EQ(count.written_bytes, 96 + 96 + 96);
}

TEST(CountOperators, ABroadcastOperandCountsOnceAndAComposedOperatorNotAgain) {
  const torch::NoGradGuard no_grad;
  const auto row = torch::ones({1, 8});
  const auto expanded = row.expand({16, 8});
  const auto other = torch::ones({16, 8});
  const auto sum = count_operators([&] { (void)expanded.add(other); });
  EXPECT_EQ(sum.operators, 1);
  EXPECT_EQ(sum.read_bytes, 32 + 512);
  EXPECT_EQ(sum.written_bytes, 512);
  const auto weight = torch::ones({3, 8});
  const auto bias = torch::ones({3});
  const auto linear = count_operators([&] { (void)torch::linear(other, weight, bias); });
  EXPECT_EQ(linear.operators, 1);  // not again the addmm within, nor its copy of the bias
  EXPECT_EQ(linear.read_bytes, 512 + 96 + 12);
  EXPECT_EQ(linear.written_bytes, 192);
}

TEST(CountOperators, StopsListening) {
  const auto tensor = torch::ones({4});
  const auto first = count_operators([&] { (void)tensor.add(1); });
  (void)tensor.add(2);
  EXPECT_EQ(count_operators([&] { (void)tensor.add(1); }).bytes(), first.bytes());
  EXPECT_EQ(count_operators([] {}).operators, 0);
}

TEST(PhaseClock, AddsUpTheParts) {
  PhaseClock clock(torch::kCPU);
  for (int step = 0; step < 2; ++step) {
    clock.mark(StepPhase::start);
    for (int part = 0; part < 2; ++part) {
      clock.mark(StepPhase::data);
      clock.mark(StepPhase::forward);
    }
    clock.mark(StepPhase::optimizer);
  }
  const auto steps = clock.take();
  ASSERT_EQ(steps.size(), 2U);
  for (const auto& step : steps) {
    EXPECT_GT(step.at(static_cast<std::size_t>(StepPhase::data)), 0);
    EXPECT_GT(step.at(static_cast<std::size_t>(StepPhase::forward)), 0);
    EXPECT_EQ(step.at(static_cast<std::size_t>(StepPhase::backward)), 0);
    EXPECT_EQ(step.at(static_cast<std::size_t>(StepPhase::start)), 0);
  }
  EXPECT_TRUE(clock.take().empty());
}

CaseResult case_of(const std::string& model, std::vector<double> speeds) {
  CaseResult result;
  result.item.config.model.name = model;
  result.item.precision = "fp32";
  set_batch(result.item, 10);
  result.complexity.multiply_adds = 1000;
  result.operators = {.operators = 7, .read_bytes = 300, .written_bytes = 100};
  result.images_per_second = std::move(speeds);
  if (!result.images_per_second.empty()) result.status = CaseStatus::done;
  return result;
}

BenchResults sample_results() {
  BenchResults results;
  results.environment = {{"host", "h"},     {"processor", "p"},  {"threads", 2},
                         {"xception", "0"}, {"git_commit", "c"}, {"time", "t"}};
  results.windows = 3;
  results.machine.products["fp32"] = {2e6};
  results.machine.copies = {8000.0};
  results.cases = {case_of("slow", {90, 110, 100}), case_of("absent", {}),
                   case_of("fast", {200, 220, 210})};
  results.cases[1].status = CaseStatus::out_of_memory;
  results.cases[1].error = "a \"large\" batch, too large";
  return results;
}

TEST(Figures, FollowFromTheMeasurements) {
  const auto results = sample_results();
  const auto figures = figures_of(results.cases[0], BenchMode::train, results.machine);
  EXPECT_EQ(figures.images_per_second.median, 100);
  EXPECT_DOUBLE_EQ(figures.step_milliseconds, 100.0);
  EXPECT_EQ(figures.step_flops, 2 * 3 * 1000 * 10);
  EXPECT_DOUBLE_EQ(*figures.flops_per_second, 6e5);
  EXPECT_DOUBLE_EQ(*figures.peak_share, 0.3);
  EXPECT_DOUBLE_EQ(*figures.bytes_per_second, 4000.0);
  EXPECT_DOUBLE_EQ(*figures.copy_share, 0.5);
  EXPECT_EQ(figures_of(results.cases[0], BenchMode::inference, {}).step_flops, 2 * 1000 * 10);
  EXPECT_FALSE(figures_of(results.cases[1], BenchMode::train, results.machine).flops_per_second);
}

TEST(Table, TheFastestFirstAndWhatFailedLast) {
  const auto results = sample_results();
  EXPECT_THAT(order_by_speed(results.cases), ElementsAre(2U, 0U, 1U));
  const auto lines = bench_table(results);
  ASSERT_GE(lines.size(), 4U);
  EXPECT_THAT(lines[0], StartsWith("model"));
  EXPECT_THAT(lines[1], StartsWith("fast"));
  EXPECT_THAT(lines[1], HasSubstr("210.0"));
  EXPECT_THAT(lines[2], StartsWith("slow"));
  EXPECT_THAT(lines[3], StartsWith("absent"));
  EXPECT_THAT(lines[3], HasSubstr("out of memory"));
  // Aligned: a figure ends where its title does.
  const auto end = lines[0].find("images/s") + 8;
  EXPECT_EQ(lines[1].substr(end - 5, 5), "210.0");
  EXPECT_EQ(lines[2].substr(end - 5, 5), "100.0");
}

TEST(Files, CsvHasALineAWindowAndQuotes) {
  const auto text = bench_csv(sample_results());
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1 + 3 + 3 + 1);
  EXPECT_THAT(text, HasSubstr("\"a \"\"large\"\" batch, too large\""));
  EXPECT_THAT(text, HasSubstr("window,window_images_per_second\n"));
}

TEST(Files, JsonKeepsEveryWindow) {
  const auto json = bench_json(sample_results());
  EXPECT_EQ(json["cases"][0]["windows_images_per_second"], (std::vector<double>{200, 220, 210}));
  EXPECT_TRUE(json["cases"][2]["images_per_second"].is_null());
  EXPECT_EQ(json["cases"][2]["status"], "out of memory");
}

}  // namespace
}  // namespace xception
