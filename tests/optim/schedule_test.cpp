#include "xception/optim/schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "support/python.h"
#include "xception/core/error.h"
#include "xception/optim/plateau.h"

namespace xception {
namespace {

/// What PyTorch's schedulers gave, once for all tests.
const TensorMap& pytorch_schedules() {
  static const TensorMap tensors = run_python("export_optim.py");
  return tensors;
}

ScheduleConfig schedule_of(const nlohmann::json& json) {
  ScheduleConfig schedule;
  std::set<std::string> given;
  read_keys(json, "test", "schedule", schedule.keys(), given);
  return schedule;
}

/// Largest relative difference from PyTorch's rates, with a warm-up of an epoch in front or
/// without.
double error_of(const ScheduleConfig& schedule, const std::string& name, bool warmup) {
  constexpr std::int64_t kPerEpoch = 5;
  const auto& expected = pytorch_schedules().at("schedule/" + name);
  auto own = schedule;
  own.warmup_epochs = warmup ? 1 : 0;
  const auto first = warmup ? kPerEpoch : 0;
  const auto epochs = (first + expected.size(0)) / kPerEpoch;
  double largest = 0.0;
  for (std::int64_t step = 0; step < expected.size(0); ++step) {
    const auto rate = learning_rate(own, 0.1, first + step, kPerEpoch, epochs);
    const auto theirs = expected[step].item<double>();
    largest = std::max(largest, std::abs(rate - theirs) / theirs);
  }
  return largest;
}

TEST(Schedule, EqualsPyTorchs) {
  const std::map<std::string, nlohmann::json> schedules = {
      {"one_cycle_cos", {{"name", "one_cycle"}}},
      {"one_cycle_linear",
       {{"name", "one_cycle"},
        {"pct_start", 0.45},
        {"div_factor", 10},
        {"final_div_factor", 100},
        {"anneal", "linear"}}},
      {"one_cycle_falls", {{"name", "one_cycle"}, {"pct_start", 0}}},
      {"cosine", {{"name", "cosine"}, {"min_lr", 0.01}}},
      {"linear", {{"name", "linear"}, {"min_lr", 0.01}}},
      {"polynomial", {{"name", "polynomial"}, {"power", 2}}},
      {"polynomial_min", {{"name", "polynomial"}, {"power", 0.9}, {"min_lr", 0.01}}},
      // A decay each step is PyTorch's ExponentialLR.
      {"exponential", {{"name", "step"}, {"step_epochs", 0.2}}}};
  for (const auto& [name, json] : schedules) {
    EXPECT_LE(error_of(schedule_of(json), name, false), 1e-12) << name;
    EXPECT_LE(error_of(schedule_of(json), name, true), 1e-12) << name;
  }
}

TEST(Schedule, LongerThanPlannedStaysAtItsEnd) {
  for (const auto* name : {"cosine", "linear", "polynomial", "one_cycle"}) {
    ScheduleConfig schedule;
    schedule.name = name;
    EXPECT_EQ(learning_rate(schedule, 0.1, 33, 10, 2), learning_rate(schedule, 0.1, 20, 10, 2))
        << name;
  }
}

/// Rates after each epoch; halfway the state goes to another object.
void expect_plateau(const nlohmann::json& json, const std::string& name) {
  const auto schedule = schedule_of(json);
  EXPECT_TRUE(has_feedback(schedule));
  auto feedback = build_feedback(schedule, 0.1);
  EXPECT_EQ(feedback->factor(), 1.0);
  const auto& values = pytorch_schedules().at("plateau/" + name + "/values");
  const auto& rates = pytorch_schedules().at("plateau/" + name + "/rates");
  for (std::int64_t i = 0; i < values.size(0); ++i) {
    const auto value = values[i].item<double>();
    feedback->record({.epoch = i + 1, .validation_loss = value, .validation_accuracy = value});
    EXPECT_NEAR(0.1 * feedback->factor(), rates[i].item<double>(), 1e-15) << name << i;
    auto next = build_feedback(schedule, 0.1);
    auto state = feedback->state();
    state.values = nlohmann::json::parse(state.values.dump());
    next->load_state(state);
    feedback = std::move(next);
  }
}

TEST(Schedule, PlateauEqualsPyTorchs) {
  expect_plateau({{"name", "plateau"}, {"factor", 0.5}, {"patience", 1}}, "loss");
  expect_plateau({{"name", "plateau"},
                  {"metric", "accuracy"},
                  {"patience", 2},
                  {"threshold", 0.02},
                  {"min_lr", 0.003}},
                 "accuracy");
}

TEST(Schedule, PlateauDisregardsTheWarmup) {
  const auto feedback = build_feedback(
      schedule_of({{"name", "plateau"}, {"patience", 0}, {"warmup_epochs", 2}}), 0.1);
  for (const std::int64_t epoch : {1, 2}) {
    feedback->record({.epoch = epoch, .validation_loss = 1.0 + static_cast<double>(epoch)});
    EXPECT_EQ(feedback->factor(), 1.0);
  }
  feedback->record({.epoch = 3, .validation_loss = 9.0});
  EXPECT_EQ(feedback->factor(), 1.0);
  feedback->record({.epoch = 4, .validation_loss = 9.0});
  EXPECT_NEAR(feedback->factor(), 0.1, 1e-15);
  ScheduleConfig constant;
  EXPECT_EQ(build_feedback(constant, 0.1), nullptr);
}

TEST(Schedule, SaysWhetherALongerRunHasOtherRates) {
  for (const auto* name :
       {"constant", "cosine", "step", "linear", "polynomial", "one_cycle", "plateau"}) {
    ScheduleConfig schedule;
    schedule.name = name;
    const bool differ =
        learning_rates(schedule, 0.1, 1, 5, 4) != learning_rates(schedule, 0.1, 1, 5, 8);
    EXPECT_EQ(depends_on_epochs(schedule), differ) << name;
  }
}

TEST(Schedule, UnknownIsAnError) {
  ScheduleConfig schedule;
  schedule.name = "sawtooth";
  EXPECT_THROW((void)learning_rate(schedule, 0.1, 0, 10, 5), Error);
}

TEST(Schedule, Constant) {
  EXPECT_EQ(learning_rate({}, 0.1, 0, 10, 5), 0.1);
  EXPECT_EQ(learning_rate({}, 0.1, 49, 10, 5), 0.1);
}

TEST(Schedule, WarmupRisesThenHolds) {
  ScheduleConfig schedule;
  schedule.warmup_epochs = 1;
  EXPECT_NEAR(learning_rate(schedule, 0.11, 0, 10, 5), 0.01, 1e-15);
  EXPECT_NEAR(learning_rate(schedule, 0.11, 9, 10, 5), 0.10, 1e-15);
  EXPECT_EQ(learning_rate(schedule, 0.11, 10, 10, 5), 0.11);
}

TEST(Schedule, CosineFallsToTheMinimum) {
  const auto schedule = schedule_of({{"name", "cosine"}, {"min_lr", 0.01}});
  EXPECT_NEAR(learning_rate(schedule, 0.1, 0, 10, 4), 0.1, 1e-15);
  EXPECT_NEAR(learning_rate(schedule, 0.1, 20, 10, 4), 0.055, 1e-15);
  EXPECT_NEAR(learning_rate(schedule, 0.1, 40, 10, 4), 0.01, 1e-15);
}

TEST(Schedule, StepIsThePapers) {
  ScheduleConfig schedule;
  schedule.name = "step";
  EXPECT_EQ(learning_rate(schedule, 0.045, 19, 10, 9), 0.045);
  EXPECT_NEAR(learning_rate(schedule, 0.045, 20, 10, 9), 0.045 * 0.94, 1e-15);
  EXPECT_NEAR(learning_rate(schedule, 0.045, 65, 10, 9), 0.045 * 0.94 * 0.94 * 0.94, 1e-15);
  EXPECT_EQ(learning_rates(schedule, 0.045, 1, 10, 9).size(), 10U);
}

}  // namespace
}  // namespace xception
