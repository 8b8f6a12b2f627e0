#include "xception/optim/weight_average.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <utility>

#include "support/python.h"
#include "xception/core/error.h"

namespace xception {
namespace {

constexpr int kAverageSteps = 12;

/// What PyTorch and timm computed, once for all tests.
const TensorMap& python() {
  static const TensorMap tensors = run_python("export_averages.py");
  return tensors;
}

AverageConfig average_of(const nlohmann::json& json) {
  AverageConfig config;
  std::set<std::string> given;
  read_keys(json, "test", "average", config.keys(), given);
  return config;
}

/// The script's network, without its modules.
struct Network {
  Network() {
    for (const auto& [key, tensor] : python()) {
      const std::string prefix = "weights/0/";
      if (!key.starts_with(prefix)) continue;
      const auto name = key.substr(prefix.size());
      const bool statistic = name.find("running") != std::string::npos;
      (statistic ? statistics : parameters).emplace_back(name, tensor.clone());
    }
    for (auto& [name, tensor] : parameters) tensor.requires_grad_();
  }

  void set(const std::string& prefix) const {
    const torch::NoGradGuard no_grad;
    for (const auto* list : {&parameters, &statistics}) {
      for (const auto& [name, tensor] : *list) {
        torch::Tensor(tensor).copy_(python().at(prefix + name));
      }
    }
  }

  [[nodiscard]] double distance(const std::string& prefix) const {
    double largest = 0.0;
    for (const auto* list : {&parameters, &statistics}) {
      for (const auto& [name, tensor] : *list) {
        const auto difference = (tensor - python().at(prefix + name)).abs().max();
        largest = std::max(largest, difference.item<double>());
      }
    }
    return largest;
  }

  NamedParameters parameters, statistics;
};

std::string at_step(const std::string& name, int step) {
  return name + "/" + std::to_string(step) + "/";
}

/// Follows the script's weights; after each step, the averages change places with them.
void expect_equal(const nlohmann::json& json, const std::string& name) {
  const Network network;
  auto average = build_average(average_of(json), network.parameters, network.statistics);
  for (int step = 1; step <= kAverageSteps; ++step) {
    SCOPED_TRACE(name + " step " + std::to_string(step));
    network.set(at_step("weights", step));
    average->after_step();
    average->after_epoch(step);
    if (step == 4) average->after_epoch(step);  // as after an interrupted validation
    average->put_in(true);
    EXPECT_LE(network.distance(at_step(name, step)), 1e-5);
    // A checkpoint of this moment is the network's tensors and the state.
    auto state = average->state();
    for (auto& [key, tensor] : state.tensors) tensor = tensor.clone();
    auto next = build_average(average_of(json), network.parameters, network.statistics);
    next->load_state(state);
    EXPECT_TRUE(next->is_in_place());
    average = std::move(next);
    average->put_in(false);
    EXPECT_EQ(network.distance(at_step("weights", step)), 0.0);
  }
}

TEST(WeightAverage, EqualsPyTorchsAndTimms) {
  expect_equal({{"name", "ema"}, {"decay", 0.8}}, "ema");
  expect_equal({{"name", "ema"}, {"decay", 0.8}}, "timm");
  expect_equal({{"name", "swa"}}, "swa");
}

TEST(WeightAverage, DecayRisesWithTheWarmup) {
  const Network network;
  const auto average =
      build_average(average_of({{"name", "ema"}, {"decay", 0.4}, {"decay_warmup", true}}),
                    network.parameters, network.statistics);
  const auto& [name, weight] = network.parameters.front();
  auto expected = python().at("weights/0/" + name).to(torch::kFloat64);
  for (int step = 1; step <= kAverageSteps; ++step) {
    network.set(at_step("weights", step));
    average->after_step();
    const double decay = std::min(0.4, static_cast<double>(step) / (step + 9.0));
    expected = decay * expected + (1.0 - decay) * weight;
    const AveragesInPlace in_place(average.get());
    EXPECT_TRUE(weight.to(torch::kFloat64).allclose(expected, 1e-5, 1e-5)) << step;
  }
}

TEST(WeightAverage, StartsAtAnEpoch) {
  const Network network;
  const auto average = build_average(average_of({{"name", "swa"}, {"start_epoch", 3}}),
                                     network.parameters, network.statistics);
  for (int epoch = 1; epoch <= 2; ++epoch) {
    network.set(at_step("weights", epoch));
    average->after_epoch(epoch);
    EXPECT_FALSE(average->is_ready());
    const AveragesInPlace in_place(average.get());  // of none
    EXPECT_EQ(network.distance(at_step("weights", epoch)), 0.0);
    EXPECT_TRUE(average->state().tensors.empty());
  }
  network.set(at_step("weights", 5));
  average->after_epoch(3);
  network.set(at_step("weights", 6));
  const AveragesInPlace in_place(average.get());
  EXPECT_EQ(network.distance(at_step("weights", 5)), 0.0);
}

TEST(WeightAverage, BeginsAnewWithOtherWeights) {
  const Network network;
  const auto average =
      build_average(average_of({{"name", "ema"}}), network.parameters, network.statistics);
  network.set(at_step("weights", 4));
  average->restart();
  average->after_step();
  const AveragesInPlace in_place(average.get());
  EXPECT_LE(network.distance(at_step("weights", 4)), 1e-6);
}

TEST(WeightAverage, LeavesStatisticsThatAreRecomputed) {
  const Network network;
  const auto average =
      build_average(average_of({{"name", "ema"}, {"decay", 0.5}, {"batch_norm", "recompute"}}),
                    network.parameters, network.statistics);
  network.set(at_step("weights", 1));
  average->after_step();
  const torch::NoGradGuard no_grad;
  const auto& statistic = network.statistics.front().second;
  average->put_in(true);
  EXPECT_TRUE(statistic.equal(python().at("weights/0/" + network.statistics.front().first)));
  statistic.fill_(7.0);  // as who recomputes them
  average->put_in(false);
  EXPECT_EQ(network.distance(at_step("weights", 1)), 0.0);
  average->put_in(true);
  EXPECT_TRUE(statistic.eq(7.0).all().item<bool>());
}

TEST(WeightAverage, RefusesWhatCannotBeMeant) {
  EXPECT_EQ(build_average(AverageConfig(), {}, {}), nullptr);
  EXPECT_EQ(describe_average(AverageConfig()), "");
  const auto late = average_of({{"name", "swa"}, {"start_epoch", 4}});
  EXPECT_THROW(check_average(late, 3), Error);
  EXPECT_NO_THROW(check_average(late, 4));
  auto unknown = late;
  unknown.name = "median";
  EXPECT_THROW(check_average(unknown, 9), Error);
}

}  // namespace
}  // namespace xception
