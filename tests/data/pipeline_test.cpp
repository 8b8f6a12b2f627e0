#include "xception/data/pipeline.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "support/python.h"
#include "xception/core/error.h"

namespace xception {
namespace {

using nlohmann::json;

/// What torchvision v2 computed, once for all tests.
const TensorMap& torchvision() {
  static const TensorMap tensors = run_python("export_transforms.py");
  return tensors;
}

Pipeline make_pipeline(const json& transforms, std::int64_t image_size,
                       PixelSteps steps = PixelSteps::fused) {
  InputConfig config;
  config.augment.train = transforms;
  config.data.image_size = image_size;
  return Pipeline(config, TransformList::train, torch::kCPU, steps);
}

struct Difference {
  double largest;  ///< in steps of 1/255
  double share;    ///< of the pixels that differ at all
};

/// Our pipeline against torchvision's `result` (or `native`), both as uint8 values.
Difference compare(const std::string& name, const json& transforms, torch::Tensor drawn = {},
                   const std::string& result = "result") {
  const auto& images = torchvision().at(name + "/images");
  const auto& expected = torchvision().at(name + "/" + result);
  if (!drawn.defined()) drawn = torch::zeros({images.size(0), 0});
  const auto pipeline = make_pipeline(transforms, expected.size(2), PixelSteps::unnormalized);
  const auto actual = pipeline.apply(images, drawn);
  EXPECT_EQ(actual.sizes(), expected.sizes()) << name;
  const auto difference = (actual - expected.to(torch::kFloat32)).abs();
  return {difference.max().item<double>(),
          difference.gt(0).to(torch::kFloat64).mean().item<double>()};
}

/// Values that fall on either side of a half by rounding errors alone.
constexpr double kTies = 0.005;

TEST(PipelineAgainstTorchvision, Resize) {
  const json transforms = {{{"name", "resize"}}, {{"name", "center_crop"}}};
  // 96: the shorter of 240 x 180; the crop cuts the longer one.
  for (const auto* name : {"upsample", "downsample"}) {
    const auto difference = compare(name, transforms);
    EXPECT_LE(difference.largest, 1.0) << name;
    EXPECT_LE(difference.share, kTies) << name;
    EXPECT_LE(compare(name, transforms, {}, "native").largest, 1.0) << name;
  }
}

TEST(PipelineAgainstTorchvision, CenterCropPadsWhatIsSmaller) {
  EXPECT_EQ(compare("odd_crop", {{{"name", "center_crop"}}}).largest, 0.0);
}

TEST(PipelineAgainstTorchvision, RandomResizedCropWithTheSameBoxes) {
  const json transforms = {{{"name", "random_resized_crop"}}};
  for (const auto* name : {"crop", "crop_down"}) {
    const auto& boxes = torchvision().at(std::string(name) + "/boxes");
    const auto difference = compare(name, transforms, boxes);
    EXPECT_LE(difference.largest, 1.0) << name;
    EXPECT_LE(difference.share, kTies) << name;
    EXPECT_LE(compare(name, transforms, boxes, "native").largest, 1.0) << name;
  }
}

TEST(PipelineAgainstTorchvision, ResizeThenCropIsOneMap) {
  // torchvision rounds to uint8 in between; the composed map does not.
  const auto difference = compare(
      "resize_crop", {{{"name", "resize"}, {"size", 320}}, {{"name", "random_resized_crop"}}},
      torchvision().at("resize_crop/boxes"));
  EXPECT_LE(difference.largest, 1.0);
}

TEST(PipelineAgainstTorchvision, FlipAndShift) {
  const auto flip = compare("flip", {{{"name", "horizontal_flip"}}, {{"name", "resize"}}},
                            torchvision().at("flip/flips").unsqueeze(1));
  EXPECT_LE(flip.largest, 1.0);
  EXPECT_LE(flip.share, kTies);
  const auto shift =
      compare("shift", {{{"name", "pad_and_crop"}}}, torchvision().at("shift/shifts"));
  EXPECT_EQ(shift.largest, 0.0);
}

TEST(PipelineAgainstTorchvision, Normalization) {
  const auto& images = torchvision().at("normalized/images");
  const auto& expected = torchvision().at("normalized/result");
  const auto pipeline = make_pipeline({{{"name", "resize"}}, {{"name", "center_crop"}}}, 71);
  const auto actual = pipeline.apply(images, torch::zeros({images.size(0), 0}));
  EXPECT_TRUE(actual.is_contiguous(torch::MemoryFormat::ChannelsLast));
  const auto planes =
      pipeline.apply(images, torch::zeros({images.size(0), 0}), torch::kFloat32, false);
  EXPECT_TRUE(planes.is_contiguous());
  EXPECT_TRUE(planes.equal(actual));
  // One step of 1/255 over the smallest standard deviation.
  EXPECT_LE((actual - expected).abs().max().item<double>(), 1.0 / 255.0 / 0.224 + 1e-5);
  EXPECT_LE((actual - expected).abs().mean().item<double>(), 1e-3);
}

TEST(Pipeline, DrawsAreFunctionsOfSeedEpochAndIndex) {
  constexpr Size kSize{32, 32};
  const auto pipeline =
      make_pipeline({{{"name", "random_resized_crop"}}, {{"name", "horizontal_flip"}}}, 71);
  const auto all = pipeline.draw(3, 5, torch::arange(100), kSize);
  EXPECT_EQ(all.size(1), 5);
  // Asked in another order and alone, the numbers are the same.
  EXPECT_TRUE(pipeline.draw(3, 5, torch::tensor({42}), kSize).equal(all.slice(0, 42, 43)));
  EXPECT_TRUE(pipeline.draw(3, 5, torch::arange(99, -1, -1), kSize).equal(all.flip(0)));
  EXPECT_FALSE(pipeline.draw(3, 6, torch::arange(100), kSize).equal(all));
  EXPECT_FALSE(pipeline.draw(4, 5, torch::arange(100), kSize).equal(all));
  // Flips come out even, boxes vary and stay inside.
  const auto many = pipeline.draw(0, 0, torch::arange(4000), kSize);
  EXPECT_NEAR(many.select(1, 4).mean().item<double>(), 0.5, 0.04);
  EXPECT_LE((many.select(1, 0) + many.select(1, 2)).max().item<double>(), 32.0);
  EXPECT_LE((many.select(1, 1) + many.select(1, 3)).max().item<double>(), 32.0);
}

TEST(PipelineAgainstTorchvision, BoxesHaveTheSameDistribution) {
  const auto pipeline = make_pipeline({{{"name", "random_resized_crop"}}}, 71);
  const auto boxes = pipeline.draw(0, 0, torch::arange(20000), {32, 32});
  const auto& expected = torchvision().at("statistics");
  // Five standard errors of a mean over 20,000 draws, twice.
  const auto tolerance = 10.0 * expected[1].max().item<double>() / std::sqrt(20000.0);
  EXPECT_LE((boxes.mean(0) - expected[0]).abs().max().item<double>(), tolerance);
  EXPECT_LE((boxes.std(0) - expected[1]).abs().max().item<double>(), tolerance);
}

/// The pixels, 0 .. 255, of normalized images.
torch::Tensor pixels_of(const torch::Tensor& images) {
  const AugmentConfig config;
  const auto channel = [](const std::vector<double>& values) {
    return torch::tensor(values, torch::kFloat64).view({1, 3, 1, 1});
  };
  return (images.to(torch::kFloat64) * channel(config.std) + channel(config.mean)) * 255.0;
}

TEST(Pipeline, FusedStepsEqualLibTorchs) {
  torch::manual_seed(5);
  const auto images = torch::randint(256, {6, 3, 32, 40}, torch::kUInt8);
  const json crop = {{"name", "random_resized_crop"}};
  const json flip = {{"name", "horizontal_flip"}};
  const json resize = {{"name", "resize"}};
  const json center = {{"name", "center_crop"}};
  struct Chain {
    std::vector<json> transforms;
    std::int64_t size;
  };
  for (const auto& [list, size] :
       {Chain{{crop, flip}, 71}, Chain{{crop}, 17}, Chain{{resize, center}, 45},
        Chain{{center}, 35}, Chain{{flip, center}, 32}}) {
    const json transforms = list;
    SCOPED_TRACE(transforms.dump());
    const auto fused = make_pipeline(transforms, size);
    const auto reference = make_pipeline(transforms, size, PixelSteps::reference);
    const auto drawn = fused.draw(1, 2, torch::arange(6), {32, 40});
    const auto found = fused.apply(images, drawn);
    const auto wanted = reference.apply(images, drawn);
    EXPECT_EQ(found.strides(), wanted.strides());
    const auto difference = (pixels_of(found) - pixels_of(wanted)).abs();
    EXPECT_LE(difference.max().item<double>(), 1.001);
    EXPECT_LE(difference.gt(1e-3).to(torch::kFloat64).mean().item<double>(), kTies);
    EXPECT_TRUE(fused.apply(images, drawn, torch::kBFloat16).equal(found.to(torch::kBFloat16)));
    EXPECT_TRUE(fused.apply(images, drawn, torch::kFloat64).equal(found.to(torch::kFloat64)));
    EXPECT_TRUE(fused.apply(images, drawn, torch::kFloat32, false).is_contiguous());
  }
}

std::string error_of_config(const json& transforms, std::int64_t size) {
  try {
    make_pipeline(transforms, size).check({32, 32});
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Pipeline, BadTransformsAreNamed) {
  EXPECT_NE(error_of_config({{{"name", "resiz"}}}, 71).find("did you mean resize?"),
            std::string::npos);
  EXPECT_NE(error_of_config({{{"name", "resize"}, {"siez", 3}}}, 71).find("siez"),
            std::string::npos);
  EXPECT_NE(error_of_config({{{"name", "horizontal_flip"}, {"p", 1.5}}}, 32).find("out of range"),
            std::string::npos);
  EXPECT_NE(error_of_config({{{"name", "horizontal_flip"}}}, 71).find("32 x 32"),
            std::string::npos);
}

PartReader reader_of(const torch::Tensor& images) {
  return [pixels = images[0].permute({1, 2, 0})](const Part& part) {
    return pixels.narrow(0, part.top, part.size.height)
        .narrow(1, part.left, part.size.width)
        .contiguous();
  };
}

TEST(PipelineOfAPicture, EqualsThatOfAWholeImage) {
  torch::manual_seed(4);
  const json resize = {{"name", "resize"}, {"size", 40}};
  const json crop = {{"name", "center_crop"}};
  const json flip = {{"name", "horizontal_flip"}, {"p", 1.0}};
  const std::vector<json> chains = {
      json::array({resize, crop}), json::array({crop}), json::array({resize, flip, crop}),
      json::array({{{"name", "random_resized_crop"}}}),
      json::array(
          {{{"name", "center_crop"}, {"size", 60}}, resize, {{"name", "pad_and_crop"}}, crop})};
  for (const auto& [height, width] : std::vector<std::pair<int, int>>{
           {32, 32}, {31, 500}, {2000, 33}, {1, 90}, {90, 1}, {400, 300}, {36, 37}}) {
    const auto images = torch::randint(0, 256, {1, 3, height, width}, torch::kUInt8);
    for (const auto& chain : chains) {
      for (const auto steps : {PixelSteps::fused, PixelSteps::reference}) {
        const auto pipeline = make_pipeline(chain, 36, steps);
        const auto drawn = pipeline.draw(3, 0, torch::zeros({1}, torch::kInt64), {height, width});
        const auto expected = pipeline.apply(images, drawn);
        const auto actual = pipeline.apply_to_picture(reader_of(images), {height, width}, drawn);
        if (pipeline.planned()) {
          EXPECT_TRUE(actual.equal(expected)) << height << " x " << width << " " << chain;
        }
        const auto wrong = (actual - expected).abs().gt(1e-5).to(torch::kFloat64).mean();
        EXPECT_LE(wrong.item<double>(), kTies) << height << " x " << width << " " << chain;
        // A step of 1/255, of values whose deviation is about a quarter.
        EXPECT_LE((actual - expected).abs().max().item<double>(), 0.02) << chain;
      }
    }
  }
}

TEST(PipelineOfAPicture, ReadsWhatShowsAndNoMore) {
  const json transforms = {{{"name", "resize"}}, {{"name", "center_crop"}}};
  for (const bool tall : {false, true}) {
    const Size size = tall ? Size{1'000'000, 50} : Size{50, 1'000'000};
    const auto pipeline = make_pipeline(transforms, 40);
    std::int64_t pixels = 0;
    const auto input = pipeline.apply_to_picture(
        [&](const Part& part) {
          pixels += part.size.height * part.size.width;
          EXPECT_GT(tall ? part.top : part.left, 499'900);
          return torch::full({part.size.height, part.size.width, 3}, 255, torch::kUInt8);
        },
        size, torch::zeros({1, 0}));
    EXPECT_LT(pixels, 50 * 60);
    EXPECT_EQ(input.sizes(), (std::vector<std::int64_t>{1, 3, 40, 40}));
    EXPECT_TRUE(input.isfinite().all().item<bool>());
  }
}

TEST(PipelineOfAPicture, LargeOnesAreReadInStrips) {
  const auto row = torch::arange(3000, torch::kInt64).remainder(251).to(torch::kUInt8);
  const auto images = row.view({1, 1, 3000, 1}).expand({1, 3, 3000, 2000});
  const json transforms = {{{"name", "resize"}}, {{"name", "center_crop"}}};
  const auto pipeline = make_pipeline(transforms, 40);
  int strips = 0;
  const auto read = reader_of(images);
  const auto actual = pipeline.apply_to_picture(
      [&](const Part& part) {
        ++strips;
        return read(part);
      },
      {3000, 2000}, torch::zeros({1, 0}));
  EXPECT_GT(strips, 1);
  EXPECT_TRUE(actual.equal(pipeline.apply(images, torch::zeros({1, 0}))));
}

/// What grows a little is resampled along columns first, though a strip of it may not grow.
TEST(PipelineOfAPicture, StripsAreResampledInTheOrderOfTheWhole) {
  at::manual_seed(5);
  const auto images = torch::randint(0, 256, {1, 3, 1500, 1500}, torch::kUInt8);
  const json transforms = {{{"name", "resize"}}, {{"name", "center_crop"}}};
  const auto pipeline = make_pipeline(transforms, 1501);
  const auto actual =
      pipeline.apply_to_picture(reader_of(images), {1500, 1500}, torch::zeros({1, 0}));
  EXPECT_TRUE(actual.equal(pipeline.apply(images, torch::zeros({1, 0}))));
}

}  // namespace
}  // namespace xception
