#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "support/python.h"
#include "xception/core/error.h"
#include "xception/data/pipeline.h"

namespace xception {
namespace {

using nlohmann::json;

/// What torchvision v2 computed, once for all tests.
const torch::Tensor& theirs(const std::string& name) {
  static const TensorMap tensors = run_python("export_augmentations.py");
  return tensors.at(name);
}

InputConfig augmented(const json& transforms, std::int64_t image_size) {
  InputConfig config;
  config.augment.train = transforms;
  config.data.image_size = image_size;
  return config;
}

Pipeline pipeline_of(const json& transforms, std::int64_t image_size,
                     PixelSteps steps = PixelSteps::fused) {
  return Pipeline(augmented(transforms, image_size), TransformList::train, torch::kCPU, steps);
}

/// The pixels, 0 .. 255, of normalized images.
torch::Tensor bytes_of(const torch::Tensor& images) {
  const AugmentConfig config;
  const auto channel = [](const std::vector<double>& values) {
    return torch::tensor(values, torch::kFloat64).view({1, 3, 1, 1});
  };
  return (images.to(torch::kFloat64) * channel(config.std) + channel(config.mean)) * 255.0;
}

struct ByteDifference {
  double largest;  ///< in steps of 1/255
  double share;    ///< of the values that differ by more than one step
  double any;      ///< of the values that differ at all
};

/// Image by image, as CPUs do it, and as whole batches, as GPUs do, against `expected`, uint8.
ByteDifference compare(const json& transforms, const torch::Tensor& images,
                       const torch::Tensor& drawn, const torch::Tensor& expected) {
  ByteDifference worst{0, 0, 0};
  for (const auto steps : {PixelSteps::unnormalized, PixelSteps::reference}) {
    const auto pipeline = pipeline_of(transforms, expected.size(2), steps);
    auto found = pipeline.apply(images, drawn);
    if (steps == PixelSteps::reference) found = bytes_of(found).round();
    EXPECT_EQ(found.sizes(), expected.sizes());
    const auto difference = (found - expected.to(torch::kFloat64)).abs();
    const auto share = [&](double above) {
      return difference.gt(above).to(torch::kFloat64).mean().item<double>();
    };
    worst.largest = std::max(worst.largest, difference.max().item<double>());
    worst.share = std::max(worst.share, share(1.0));
    worst.any = std::max(worst.any, share(0.0));
  }
  return worst;
}

TEST(AugmentationAgainstTorchvision, PadAndCropWithEveryBorder) {
  for (const auto* mode : {"constant", "edge", "reflect", "symmetric"}) {
    const auto name = std::string("shift_") + mode;
    const auto found =
        compare({{{"name", "pad_and_crop"}, {"padding_mode", mode}}}, theirs(name + "/images"),
                theirs(name + "/shifts"), theirs(name + "/result"));
    EXPECT_EQ(found.largest, 0.0) << mode;
  }
}

TEST(AugmentationAgainstTorchvision, RandomErasingWithTheSameBoxes) {
  const json erasing = {{"name", "random_erasing"}, {"value", 0.25}};
  for (const auto steps : {PixelSteps::fused, PixelSteps::reference}) {
    for (const bool channels_last : {true, false}) {
      const auto found =
          pipeline_of(json::array({erasing}), 32, steps)
              .apply(theirs("erase/images"), theirs("erase/boxes"), torch::kFloat32, channels_last);
      EXPECT_LE((found - theirs("erase/result")).abs().max().item<double>(), 1e-5);
    }
  }
  const auto boxes = pipeline_of({{{"name", "random_erasing"}, {"p", 1.0}}}, 32)
                         .draw(0, 0, torch::arange(20000), {32, 32});
  const auto& expected = theirs("erase/statistics");
  // Five standard errors of a mean over 20,000 draws, twice.
  const auto tolerance = 10.0 * expected[1].max().item<double>() / std::sqrt(20000.0);
  EXPECT_LE((boxes.mean(0) - expected[0]).abs().max().item<double>(), tolerance);
  EXPECT_LE((boxes.std(0) - expected[1]).abs().max().item<double>(), tolerance);
  const auto some =
      pipeline_of(json::array({erasing}), 32).draw(0, 0, torch::arange(4000), {32, 32});
  EXPECT_NEAR(some.select(1, 2).gt(0).to(torch::kFloat64).mean().item<double>(), 0.5, 0.04);
}

/// Ours by number (transforms/pixel_operations.h).
const std::vector<std::string>& operations() {
  static const std::vector<std::string> all = {
      "identity", "brightness", "contrast",    "saturation",    "sharpness",
      "hue",      "posterize",  "solarize",    "auto_contrast", "equalize",
      "shear_x",  "shear_y",    "translate_x", "translate_y",   "rotate"};
  return all;
}

const json kOne = {{"name", "rand_augment"}, {"num_ops", 1}};
const json kCrop = {{"name", "center_crop"}};

TEST(AugmentationAgainstTorchvision, EachOperationWithTheSameMagnitudes) {
  std::vector<torch::Tensor> images, drawn, results;
  for (std::size_t number = 0; number < operations().size(); ++number) {
    const auto& name = operations()[number];
    if (name == "hue") continue;  // neither has it
    SCOPED_TRACE(name);
    const auto of = [&](const char* what) { return theirs("op_" + name + "/" + what); };
    const auto values = of("values");
    const auto numbers =
        torch::stack({torch::full_like(values, static_cast<double>(number)), values}, 1);
    const auto found = compare({kOne, kCrop}, of("images"), numbers, of("result"));
    if (number >= 10) {
      // A place halfway between two pixels falls to either by rounding errors alone.
      EXPECT_LE(found.share, 0.001);
    } else {
      EXPECT_LE(found.largest, 1.0);
    }
    EXPECT_LE(found.any, 0.005);
    images.push_back(of("images"));
    drawn.push_back(numbers);
    results.push_back(of("result"));
  }
  // All in one batch, where each image must get its own.
  const auto order = torch::randperm(torch::cat(drawn).size(0));
  const auto shuffled = [&](const auto& tensors) {
    return torch::cat(tensors).index_select(0, order);
  };
  const auto found = compare({kOne, kCrop}, shuffled(images), shuffled(drawn), shuffled(results));
  EXPECT_LE(found.share, 0.001);
  EXPECT_LE(found.any, 0.005);
}

TEST(AugmentationAgainstTorchvision, OperationsHaveTheSameMagnitudes) {
  for (const auto& [kind, transform] : std::vector<std::pair<std::string, json>>{
           {"rand", {{"name", "rand_augment"}}}, {"trivial", {{"name", "trivial_augment"}}}}) {
    const auto pipeline = pipeline_of({transform, {{"name", "resize"}}, kCrop}, 32);
    const auto drawn = pipeline.draw(1, 0, torch::arange(20000), {48, 64}).view({-1, 2});
    std::map<int, std::vector<float>> values;
    for (std::int64_t i = 0; i < drawn.size(0); ++i) {
      values[drawn[i][0].item<int>()].push_back(drawn[i][1].item<float>());
    }
    EXPECT_EQ(values.size(), 14U);
    for (const auto& [number, all] : values) {
      const auto& name = operations().at(static_cast<std::size_t>(number));
      SCOPED_TRACE(kind + " " + name);
      // As likely each.
      const auto mean = static_cast<double>(drawn.size(0)) / 14.0;
      EXPECT_NEAR(static_cast<double>(all.size()), mean, 6.0 * std::sqrt(mean));
      const auto found = std::get<0>(torch::_unique2(torch::tensor(all)));
      const auto expected =
          std::get<0>(torch::_unique2(theirs("levels_" + kind + "/" + name) + 0.0));
      ASSERT_EQ(found.sizes(), expected.sizes());
      // To the last bit where the value is compared or cut off.
      const bool exact = name == "solarize" || name == "posterize" || number >= 12;
      EXPECT_LE((found - expected).abs().max().item<double>(),
                exact && name != "rotate" ? 0 : 1e-4);
    }
  }
}

const json kJitter = {{"name", "color_jitter"},
                      {"brightness", 0.4},
                      {"contrast", 0.5},
                      {"saturation", 0.6},
                      {"hue", 0.2}};

/// torchvision's order and factors as our numbers.
torch::Tensor jitter_numbers() {
  const auto& order = theirs("jitter/order");
  const auto factors = theirs("jitter/factors").gather(1, order.to(torch::kInt64));
  const auto numbers = torch::tensor({1.0F, 2.0F, 3.0F, 5.0F});  // of the PixelOperations
  return torch::stack(
             {numbers.index_select(0, order.flatten().to(torch::kInt64)).view_as(order), factors},
             2)
      .flatten(1);
}

TEST(AugmentationAgainstTorchvision, ColorJitterInTheSameOrder) {
  const auto found = compare(json::array({kJitter}), theirs("jitter/images"), jitter_numbers(),
                             theirs("jitter/result"));
  EXPECT_LE(found.largest, 1.0);
  EXPECT_LE(found.any, 0.01);
  // Before the image is enlarged.
  const auto resized = compare({kJitter, {{"name", "resize"}}, kCrop}, theirs("jitter/images"),
                               jitter_numbers(), theirs("jitter_resize/result"));
  EXPECT_LE(resized.largest, 1.0);
  EXPECT_LE(resized.any, 0.02);
}

TEST(Augmentation, ColorJitterDrawsFactorsInAnyOrder) {
  const auto drawn =
      pipeline_of(json::array({kJitter}), 32).draw(0, 0, torch::arange(24000), {32, 32});
  const auto numbers = drawn.view({-1, 4, 2}).select(2, 0);
  std::map<std::string, int> orders;
  for (std::int64_t i = 0; i < numbers.size(0); ++i) {
    std::string order;
    for (std::int64_t k = 0; k < 4; ++k) order += std::to_string(numbers[i][k].item<int>());
    ++orders[order];
  }
  EXPECT_EQ(orders.size(), 24U);
  for (const auto& [order, count] : orders) EXPECT_NEAR(count, 1000, 200) << order;
  const auto all = drawn.view({-1, 2});
  for (const auto& [number, low, high] : std::vector<std::tuple<double, double, double>>{
           {1, 0.6, 1.4}, {2, 0.5, 1.5}, {3, 0.4, 1.6}, {5, -0.2, 0.2}}) {
    const auto values = all.select(1, 1).masked_select(all.select(1, 0) == number);
    EXPECT_NEAR(values.min().item<double>(), low, 1e-3);
    EXPECT_NEAR(values.max().item<double>(), high, 1e-3);
    EXPECT_NEAR(values.mean().item<double>(), (low + high) / 2, 0.01);
  }
}

TEST(Augmentation, CutoutSetsASquareAnywhereToTheMean) {
  const auto images = torch::full({2000, 3, 32, 32}, 255, torch::kUInt8);
  const auto pipeline = pipeline_of({{{"name", "cutout"}, {"size", 8}}}, 32);
  const auto drawn = pipeline.draw(0, 3, torch::arange(2000), {32, 32});
  for (const auto steps : {PixelSteps::fused, PixelSteps::reference}) {
    const auto found =
        pipeline_of({{{"name", "cutout"}, {"size", 8}}}, 32, steps).apply(images, drawn);
    const auto erased = found.select(1, 0) == 0;  // (N, H, W)
    EXPECT_TRUE(erased.equal(found.select(1, 2) == 0));
    const auto rows = erased.any(2).sum(1), cols = erased.any(1).sum(1);
    EXPECT_TRUE(erased.sum({1, 2}).equal(rows * cols));  // a rectangle
    EXPECT_EQ(rows.max().item<int>(), 8);
    EXPECT_EQ(rows.min().item<int>(), 4);  // centered at the border, cut off
    // A center is any of 32 pixels: 8 rows, but near the border 4, 5, 6, 7 or 7, 6, 5.
    const double mean = (25.0 * 8 + 4 + 5 + 6 + 7 + 7 + 6 + 5) / 32.0;
    EXPECT_NEAR(rows.to(torch::kFloat64).mean().item<double>(), mean, 0.15);
    EXPECT_NEAR(cols.to(torch::kFloat64).mean().item<double>(), mean, 0.15);
  }
}

TEST(Augmentation, AlternatingFlipMirrorsInEveryOtherEpoch) {
  const auto pipeline = pipeline_of({{{"name", "alternating_flip"}}}, 32);
  const auto flips = [&](std::uint64_t seed, std::int64_t epoch) {
    return pipeline.draw(seed, epoch, torch::arange(4000), {32, 32}).select(1, 0);
  };
  const auto first = flips(3, 0);
  EXPECT_NEAR(first.mean().item<double>(), 0.5, 0.04);
  EXPECT_TRUE(flips(3, 1).equal(1 - first));
  EXPECT_TRUE(flips(3, 2).equal(first));
  EXPECT_TRUE(flips(3, 17).equal(1 - first));
  EXPECT_NEAR((flips(4, 0) - first).abs().mean().item<double>(), 0.5, 0.04);
  // Beside what else is drawn, it is a coin of its own.
  const auto both = pipeline_of({{{"name", "horizontal_flip"}}, {{"name", "alternating_flip"}}}, 32)
                        .draw(3, 0, torch::arange(4000), {32, 32});
  EXPECT_TRUE(both.select(1, 1).equal(first));
  EXPECT_NEAR((both.select(1, 0) - first).abs().mean().item<double>(), 0.5, 0.04);
  const auto images = torch::randint(256, {2, 3, 32, 32}, torch::kUInt8);
  const auto plain = pipeline_of({{{"name", "pad_and_crop"}, {"padding", 0}}}, 32)
                         .apply(images, torch::zeros({2, 2}));
  EXPECT_TRUE(pipeline.apply(images, torch::ones({2, 1})).equal(plain.flip(3)));
}

TEST(Augmentation, ErasesAtTheEndOnly) {
  const auto message = [](const json& transforms) -> std::string {
    try {
      (void)pipeline_of(transforms, 32);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message({{{"name", "horizontal_flip"}}, {{"name", "cutout"}}, {{"name", "resize"}}}),
            "[config] augment.train[1]: erases finished images, but augment.train[2] comes after "
            "it; expected cutout and random_erasing at the end, their sizes in px of "
            "data.image_size");
  EXPECT_EQ(message({{{"name", "cutout"}}, {{"name", "random_erasing"}}}), "");
}

TEST(Augmentation, RefusesABorderThatMirrorsMoreThanThereIs) {
  const auto pipeline =
      pipeline_of({{{"name", "pad_and_crop"}, {"padding", 32}, {"padding_mode", "reflect"}}}, 32);
  EXPECT_THROW(pipeline.check({32, 32}), Error);
  pipeline_of({{{"name", "pad_and_crop"}, {"padding", 31}, {"padding_mode", "reflect"}}}, 32)
      .check({32, 32});
}

/// A picture of predict, which is read in parts.
TEST(Augmentation, OfAPictureEqualsThatOfAnImage) {
  const json all = {{{"name", "resize"}, {"size", 50}}, kJitter,
                    {{"name", "trivial_augment"}},      {{"name", "center_crop"}, {"size", 40}},
                    {{"name", "rand_augment"}},         {{"name", "random_erasing"}, {"p", 1.0}}};
  const auto images = torch::randint(256, {1, 3, 60, 90}, torch::kUInt8);
  for (const auto steps : {PixelSteps::fused, PixelSteps::reference}) {
    const auto pipeline = pipeline_of(all, 40, steps);
    const auto drawn = pipeline.draw(2, 0, torch::tensor({7}), {60, 90});
    const auto found = pipeline.apply_to_picture(
        [&](const Part& part) {
          return images[0]
              .permute({1, 2, 0})
              .narrow(0, part.top, part.size.height)
              .narrow(1, part.left, part.size.width)
              .contiguous();
        },
        {60, 90}, drawn);
    EXPECT_TRUE(found.equal(pipeline.apply(images, drawn)));
  }
}

}  // namespace
}  // namespace xception
