#include "xception/train/views.h"

#include <gtest/gtest.h>
#include <torch/nn/modules/linear.h>

#include "xception/core/error.h"
#include "xception/models/classifier.h"

namespace xception {
namespace {

/// Takes the means of each color's left and right half, so that views differ.
class Halves : public Classifier {
 public:
  Halves() { linear_ = register_module("linear", torch::nn::Linear(6, 3)); }
  std::vector<torch::Tensor> seen;

 private:
  ClassifierOutput compute(const torch::Tensor& images) override {
    seen.push_back(images);
    const auto half = images.size(3) / 2;
    const auto left = images.narrow(3, 0, half).mean({2, 3});
    const auto right = images.narrow(3, half, images.size(3) - half).mean({2, 3});
    return {linear_->forward(torch::cat({left, right}, 1)), {}};
  }

  torch::nn::Linear linear_{nullptr};
};

TEST(Views, OfEachChoice) {
  EXPECT_TRUE(views_of("none", 32, 32).empty());
  EXPECT_EQ(views_of("flip", 32, 32), (std::vector<View>{{}, {.mirrored = true}}));
  const auto crops = views_of("flip+crops", 64, 32);
  EXPECT_EQ(crops.size(), 10U);
  EXPECT_EQ(crops.front(), View());
  EXPECT_EQ(crops[1], (View{.down = -4, .right = -4}));
  EXPECT_EQ(crops[9], (View{.mirrored = true, .down = 4, .right = 4}));
  const auto scales = views_of("multi-scale", 64, 60);
  EXPECT_EQ(scales.size(), 6U);
  EXPECT_EQ(scales[1].size, 60);  // 7/8 is less than the model takes
  EXPECT_EQ(scales[2].size, 72);
  EXPECT_THROW((void)views_of("flop", 32, 32), Error);
}

TEST(Views, MoveTheImageAndReflectItsBorder) {
  const auto images = torch::arange(2 * 3 * 8 * 8, torch::kFloat32).view({2, 3, 8, 8});
  EXPECT_TRUE(view_of(images, {}).equal(images));
  EXPECT_TRUE(view_of(images, {.mirrored = true}).equal(images.flip(3)));
  const auto moved = view_of(images, {.down = 2, .right = -1});
  EXPECT_TRUE(moved.narrow(2, 2, 6).narrow(3, 0, 7).equal(images.narrow(2, 0, 6).narrow(3, 1, 7)));
  EXPECT_TRUE(moved.select(2, 1).narrow(1, 0, 3).equal(moved.select(2, 3).narrow(1, 0, 3)));
  EXPECT_TRUE(moved.select(3, 7).equal(moved.select(3, 5)));
  const auto last = images.contiguous(torch::MemoryFormat::ChannelsLast).to(torch::kBFloat16);
  for (const View& view : {View{.down = 1, .right = 1}, View{.size = 9}}) {
    const auto made = view_of(last, view);
    EXPECT_EQ(made.scalar_type(), torch::kBFloat16);
    EXPECT_TRUE(made.is_contiguous(torch::MemoryFormat::ChannelsLast));
    EXPECT_EQ(made.size(2), view.size > 0 ? view.size : 8);
  }
}

TEST(Views, GiveTheMeanOfTheirProbabilities) {
  torch::manual_seed(0);
  const torch::NoGradGuard no_grad;
  Halves model;
  model.eval();
  const auto images = torch::randn({4, 3, 16, 16});
  for (const auto* choice : {"flip", "flip+crops", "multi-scale"}) {
    const auto views = views_of(choice, 16, 4);
    auto sum = torch::zeros({4, 3});
    for (const auto& view : views) sum += model.forward(view_of(images, view)).logits.softmax(1);
    const auto logits = model.forward(images).logits;
    model.seen.clear();
    const auto found = view_probabilities(model, images, logits, views);
    EXPECT_EQ(model.seen.size(), views.size() - 1);  // the image's own are known
    EXPECT_TRUE(torch::allclose(found, sum / static_cast<double>(views.size()), 1e-5, 1e-6));
    EXPECT_TRUE(torch::allclose(found.sum(1), torch::ones({4})));
    EXPECT_FALSE(torch::allclose(found, logits.softmax(1), 1e-3, 1e-4)) << choice;
  }
}

}  // namespace
}  // namespace xception
