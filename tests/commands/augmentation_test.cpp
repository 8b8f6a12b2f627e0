// Augmentation, mixed batches, growing images and views: whole runs.
#include <gmock/gmock.h>

#include "commands/command_testing.h"

namespace xception {
namespace {

using testing::HasSubstr;

class AugmentationCommand : public CommandTest {};

/// Every transform, both mixings and growing images.
Arguments all_on() {
  return {"train.epochs=3",
          R"(augment.train=[{"name":"alternating_flip"},)"
          R"({"name":"pad_and_crop","padding":4,"padding_mode":"reflect"},)"
          R"({"name":"color_jitter","brightness":0.2,"contrast":0.2,"saturation":0.2,"hue":0.1},)"
          R"({"name":"trivial_augment"},{"name":"rand_augment"},{"name":"resize"},)"
          R"({"name":"cutout","size":16},{"name":"random_erasing"}])",
          "mix.mixup_alpha=0.2",
          "mix.cutmix_alpha=1",
          "mix.probability=0.9",
          "train.label_smoothing=0.1",
          "data.image_size=87",
          "data.progressive_size=71",
          "data.progressive_end=2",
          "train.batch_size_step_epochs=1",
          "train.batch_size_max=96"};
}

TEST_F(AugmentationCommand, AnInterruptedRunIsTheSameBitForBit) {
  const auto whole = folder / "whole", parts = folder / "parts";
  const auto result = run_xception(train_arguments(whole, all_on()));
  ASSERT_TRUE(succeeds(result));
  EXPECT_THAT(result.out, HasSubstr("mixup 0.2 or CutMix 1"));
  EXPECT_THAT(result.out, HasSubstr("training images of 71 px, growing to 87 px"));
  EXPECT_THAT(result.out, HasSubstr("batch 32, 64, 96, 3 epochs, "));
  stop_and_go_on(train_arguments(parts, all_on()), 11);  // in epoch 2
  expect_same_run(parts, whole);
}

TEST_F(AugmentationCommand, WhatCannotBeMeantIsRefused) {
  const auto refused = [&](const Arguments& more, const std::vector<std::string>& words) {
    auto arguments = train_arguments(folder / "run", more);
    arguments.emplace_back("--dry-run");
    return fails(run_xception(arguments), 2, words);
  };
  EXPECT_TRUE(refused({"data.progressive_size=71"}, {"data.progressive_end", "found 0"}));
  EXPECT_TRUE(refused({"data.progressive_size=2048", "data.progressive_end=2"},
                      {"data.progressive_size", "2048"}));
  EXPECT_TRUE(refused({"train.batch_size_max=16"}, {"train.batch_size_max", "16", "32"}));
  EXPECT_TRUE(refused({"mix.probability=0.5"}, {"mix.probability", "mix.mixup_alpha"}));
  EXPECT_TRUE(refused({R"(augment.train=[{"name":"cutout"},{"name":"resize"}])"},
                      {"augment.train[0]", "erases finished images"}));
  EXPECT_TRUE(refused({"data.image_size=87", "data.progressive_size=71", "data.progressive_end=2",
                       R"(augment.train=[{"name":"resize","size":87}])"},
                      {"data.progressive_size", "71 px", "size"}));
}

TEST_F(AugmentationCommand, EvalReportsViewsBesideThePlainFigure) {
  const Arguments eval = {"eval", "--run", complete_run().string(), "--device", "cpu"};
  const auto json = [&](Arguments more) {
    more.insert(more.begin(), eval.begin(), eval.end());
    more.emplace_back("--json");
    const auto result = run_xception(more);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return nlohmann::json::parse(result.out);
  };
  const auto plain = json({});
  EXPECT_FALSE(plain.contains("tta"));
  for (const auto& [choice, views] : std::vector<std::pair<std::string, int>>{
           {"flip", 2}, {"flip+crops", 10}, {"multi-scale", 6}}) {
    const auto found = json({"--tta", choice});
    EXPECT_EQ(found["accuracy"], plain["accuracy"]);
    EXPECT_EQ(found["loss"], plain["loss"]);
    EXPECT_EQ(found["tta"]["name"], choice);
    EXPECT_EQ(found["tta"]["views"], views);
    EXPECT_NE(found["tta"]["loss"], plain["loss"]);
    EXPECT_NEAR(found["tta"]["loss"].get<double>(), plain["loss"].get<double>(), 1.0);
  }
  auto text = eval;
  text.insert(text.end(), {"--tta", "flip"});
  EXPECT_THAT(run_xception(text).out,
              HasSubstr("with --tta flip, the mean over 2 views: accuracy"));
}

TEST_F(AugmentationCommand, PredictReportsViewsBesideThePlainFigure) {
  const auto picture = folder / "picture.png";
  ASSERT_TRUE(succeeds(run_xception({"data", "preview", "--data", small_data().string(), "--count",
                                     "1", "--out", picture.string(), "data.validation_size=60"})));
  const auto predict = [&](const Arguments& more) {
    Arguments arguments = {"predict",  "--run", complete_run().string(),
                           "--device", "cpu",   picture.string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto result = run_xception(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  };
  const auto answer = [&](const Arguments& more) {
    return nlohmann::json::parse(predict(more))[0]["top"];
  };
  const auto plain = answer({"--json", "--top-k", "10"});
  const auto views = answer({"--json", "--top-k", "10", "--tta", "flip+crops"});
  std::map<int, double> expected;
  for (const auto& item : plain) {
    EXPECT_FALSE(item.contains("plain_probability"));
    expected[item["class"].get<int>()] = item["probability"].get<double>();
  }
  bool differs = false;
  for (const auto& item : views) {
    const auto own = item["plain_probability"].get<double>();
    EXPECT_NEAR(own, expected.at(item["class"].get<int>()), 1e-6);
    differs = differs || std::abs(own - item["probability"].get<double>()) > 1e-6;
  }
  EXPECT_TRUE(differs);
  EXPECT_THAT(predict({"--tta", "flip"}), HasSubstr("(plain "));
  EXPECT_THAT(predict({"--tta", "flip", "--csv"}),
              HasSubstr("image,rank,class,label,probability,plain_probability,error\n"));
}

}  // namespace
}  // namespace xception
